# SPDX-License-Identifier: Apache-2.0
"""Small packed bundles for tests of sharing, made without the command that packs."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from medvol.manifest import MANIFEST, Entry, Manifest


def bundle_files(version: str = "1.0.0", **more: bytes) -> dict[str, bytes]:
    """Files of a bundle that holds nothing that runs, by their paths; `more` names its weights."""
    metadata = json.dumps({"version": version}).encode()
    return {"LICENSE": b"free", "configs/metadata.json": metadata, **more}


def pack(path: Path, files: Mapping[str, bytes], *, name: str = "lungs", root: str = "") -> Path:
    """Pack files with a true manifest of them.

    Args:
        path: of the .zip.
        files: path in the bundle to content.
        name: of the bundle.
        root: folder in the archive, if that is not the name.
    """
    version = json.loads(files["configs/metadata.json"])["version"]
    entries = {
        file: Entry(hashlib.sha256(content).hexdigest(), len(content))
        for file, content in files.items()
    }
    manifest = Manifest(name, version, entries)
    return zipped(path, {**files, MANIFEST: manifest.canonical}, root=root or name)


def zipped(path: Path, files: Mapping[str, bytes], *, root: str = "lungs") -> Path:
    """Put files into an archive, whatever their manifest says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file, content in files.items():
            target.writestr(f"{root}/{file}", content)
    return path


def unzipped(path: Path) -> dict[str, bytes]:
    """Files in an archive, by their paths below its folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def digest_of(path: Path) -> str:
    """Digest by the manifest that a packed bundle has."""
    said = json.loads(unzipped(path)[MANIFEST])
    files = {file: Entry(**row) for file, row in said["files"].items()}
    return Manifest(said["name"], said["version"], files).digest
