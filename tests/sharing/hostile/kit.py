# SPDX-License-Identifier: Apache-2.0
"""What a hostile bundle is made of: a tiny bundle that works, and one thing that would be done.

What it would do is to create one file, the mark, in the folder of the test. A test that finds the
mark has found a hole.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_bundle import tiny_bundle

from medvol.bundle.store import is_version
from medvol.errors import InputError
from medvol.manifest import MANIFEST, Manifest, manifest_of

NAME = "gift"  # of the bundle's folder


@dataclass(frozen=True)
class Hostile:
    """One hostile bundle.

    Args:
        what: what is done to a bundle, given its folder and the path of the mark.
        reason: regular expression of what has to be said of it.
        level: the audit's level; empty for B or C, "A" for what does no harm, but has to end well.
        alive: entry of inference.json that creates the mark when MONAI alone builds it, so that
            the case is known to be one; empty where it needs another way in.
    """

    what: Callable[[Path, Path], object]
    reason: str
    level: str = "C"
    alive: str = ""

    def write(self, root: Path, mark: Path) -> Path:
        """Write the bundle into a folder below `root`, and give it."""
        folder = tiny_bundle(root / NAME)
        (folder / "LICENSE").write_text("Apache License, Version 2.0, as it is written there.\n")
        (folder / "docs").mkdir()
        (folder / "docs" / "README.md").write_text("A bundle that somebody sent to you by mail.\n")
        self.what(folder, mark)
        return folder


def changed(folder: Path, changes: Mapping[str, Any], *, config: str = "inference") -> None:
    """Set entries of a config, at ids such as "network_def#in_channels"; keys are taken as said."""
    path = folder / "configs" / f"{config}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *above, last = [int(part) if part.isdigit() else part for part in key.split("#")]
        place = content
        for part in above:
            place = place[part]
        place[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")


def sealed(folder: Path, place: Path) -> None:
    """A bundle folder on a shelf, as `push` would put it there, with a true manifest if it has one.

    One of which there can be no manifest lies there with the manifest of another.
    """
    try:
        manifest = manifest_of(folder)
    except InputError:
        manifest = Manifest(folder.name, "1.0.0", {})
    version = manifest.version if is_version(manifest.version) else "1.0.0"
    path = zipped(folder, place / f"{folder.name}-{version}-{manifest.short}.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{folder.name}/{MANIFEST}", manifest.canonical)


def zipped(folder: Path, path: Path) -> Path:
    """A bundle folder as the one folder of a .zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path
