# SPDX-License-Identifier: Apache-2.0
"""Bundles on the Hugging Face hub, by MONAI's own functions: a repository holds one bundle.

A version is a tag. MONAI lays a model card beside the bundle's files, and the hub files of its own:
what the manifest does not name is left behind when a bundle is taken from there.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..bundle.store import version_key
from ..errors import InputError, require
from ..failures import FAILURES
from ..files import made
from ..manifest import MANIFEST, SIGNATURE, parse_manifest
from ..scratch import TEMPORARY, prefix
from .archive import quarantined
from .pack import write_zip
from .shelf import Version, check_name, chosen, read_packed, taken

START = "hf:"  # begins the place of a repository: hf:ORGANISATION/NAME
CARD = "README.md"  # that MONAI writes at the root, from docs/README.md
_TOKEN = re.compile(r"hf_\w+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def on_hub(name: str, place: str) -> list[Version]:
    """The versions of a bundle on the hub, the oldest first.

    Args:
        name: of the bundle.
        place: "hf:ORGANISATION/NAME".

    Raises:
        InputError: E_FAILED, the hub cannot be asked.
        ValueError: no such place can be.
        ImportError: huggingface_hub is not installed.
    """
    check_name(name)
    repository = _repository(place)
    with _asking(place):
        tags = [tag.name for tag in _hub().list_repo_refs(repo_id=repository).tags]
    rows = [Version(name, tag, "", place) for tag in tags if tag != "latest_version"]
    return sorted(rows, key=lambda row: version_key(row.version))


def put_on_hub(path: Path, place: str) -> Version:
    """Upload a packed bundle, unpacked, so that any user of MONAI can download it.

    A repository that is not there yet is made, and is private. Who may write there is known to the
    hub's own package, by `hf auth login`.

    Args:
        path: of the `.zip`.
        place: "hf:ORGANISATION/NAME".

    Raises:
        InputError: E_OUTPUT, this version is there; E_BUNDLE, it has a README.md at its root, where
            MONAI puts the model card; E_CHANGED, the file changes while it is read; E_FAILED, the
            hub refuses; and as for `shelf.read_packed`.
        ValueError, ImportError: as for `on_hub`.
    """
    from monai.bundle import push_to_hf_hub  # here: it takes a while

    repository, hub = _repository(place), _hub()
    manifest = read_packed(path).manifest
    if CARD in manifest.files:
        raise InputError(
            "E_BUNDLE", path, f"it has a {CARD} at its root, where MONAI puts the model card.",
            f"Move it to docs/{CARD}, and pack it again.",
        )  # fmt: skip
    with _asking(place):
        there = hub.HfApi().repo_exists(repo_id=repository)
    rows = on_hub(manifest.name, place) if there else []
    if any(row.version == manifest.version for row in rows):
        raise taken(path, manifest, f"a tag of {place}")
    with quarantined(path) as folder, _scratch() as scratch:
        if read_packed(path).manifest != manifest:
            raise InputError("E_CHANGED", path, "it changed while it was read.", "Try again.")
        shutil.copytree(folder, scratch / manifest.name)
        with _asking(place):
            push_to_hf_hub(
                repo=repository, name=manifest.name, bundle_dir=str(scratch), private=True,
                version=manifest.version, delete_patterns="*",  # no file of an older version stays
            )  # fmt: skip
    return Version(manifest.name, manifest.version, manifest.short, place)


@contextmanager
def from_hub(name: str, version: str | None, place: str) -> Iterator[Version]:
    """A version of a bundle from the hub, packed again, while the block runs.

    Args:
        name: of the bundle.
        version: that is meant; None for the newest.
        place: "hf:ORGANISATION/NAME".

    Raises:
        InputError: E_BUNDLE, there is no such version, or it has no manifest; E_UNTRUSTED, a file
            is missing; E_FAILED, the hub cannot be asked.
        ValueError, ImportError: as for `on_hub`.
    """
    from monai.bundle import download

    row = chosen(on_hub(name, place), name, version, place)
    with _scratch() as scratch:
        with _asking(place):
            download(
                name=name, version=row.version, source="huggingface_hub",
                repo=_repository(place), bundle_dir=str(scratch / "hub"), progress=False,
            )  # fmt: skip
        folder = scratch / "own" / name
        _take(scratch / "hub" / name, folder, f"{place}@{row.version}")
        packed = scratch / f"{name}-{row.version}.zip"
        write_zip(folder, packed)
        yield row._replace(place=str(packed))


def _take(source: Path, target: Path, place: str) -> None:
    """Copy the files that a manifest names, and those that vouch for them."""
    if not (source / MANIFEST).is_file():
        raise InputError(
            "E_BUNDLE", place, "it has no manifest, so nobody can say whether it is whole.",
            "Download it with `python -m monai.bundle download`, and look at it with `medvol "
            "bundle inspect`.",
        )  # fmt: skip
    manifest = parse_manifest((source / MANIFEST).read_bytes(), path=source / MANIFEST)
    for name in (*manifest.files, MANIFEST, SIGNATURE):
        file = source / name
        if file.is_file() and not file.is_symlink():
            with made((target / name).parent):
                shutil.copyfile(file, target / name)


def _repository(place: str) -> str:
    name = place.removeprefix(START)
    if not _REPOSITORY.fullmatch(name):
        raise ValueError(f"{place!r} is not a place on the hub; give hf:ORGANISATION/NAME")
    return name


def _hub() -> Any:
    return require("huggingface_hub", feature="the Hugging Face hub", install="medvol[hub]")


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as folder:
        yield Path(os.path.realpath(folder))


@contextmanager
def _asking(place: str) -> Iterator[None]:
    """Whatever the hub, its package or the network says becomes one line without secrets."""
    try:
        yield
    except InputError:
        raise
    except FAILURES as error:
        words = (str(error).strip().splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {_TOKEN.sub('hf_…', words)}".rstrip(".: ")
        raise InputError(
            "E_FAILED", place, f"the hub does not do it ({reason}).",
            "Look at the name, the network and `hf auth whoami`.",
        ) from error  # fmt: skip
