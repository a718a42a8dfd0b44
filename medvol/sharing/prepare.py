# SPDX-License-Identifier: Apache-2.0
"""The files of a bundle as they are packed: with what the configs name of medvol, and licences."""

import shutil
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser

from ..bundle.build import to_text
from ..bundle.code import OWN_PACKAGE
from ..errors import InputError
from ..images.files import is_hidden
from ..manifest import MANIFEST, SIGNATURE
from .check_configs import config_files, entries
from .golden import GOLDEN
from .materials import BILL
from .vendor import Vendored, carried, names_in, refused, required, vendored_for
from .weights_copy import copy_as_safetensors

MADE_ANEW = (MANIFEST, SIGNATURE, BILL, GOLDEN)  # of a bundle that came packed
ROOMS = ("configs", "models", "docs", "scripts")  # folders that are packed, and of the root:
ROOT_FILES = ("LICENSE*", "README*", "*.license")
SOURCE_ONLY = ".py"  # of scripts; bytecode would be run in its place
LICENCE = "docs/medvol_license.txt"  # of the carried parts of medvol


class Prepared(NamedTuple):
    """What was done to the files of a bundle.

    Args:
        carried: files of medvol that were put into it; 0 where its configs name none.
        left_out: files of the bundle that are not packed, but for hidden ones and bytecode.
    """

    carried: int
    left_out: tuple[str, ...]


def prepared(bundle: Path, folder: Path) -> Prepared:
    """Copy a bundle as it is packed, without what is made of the whole: golden case, manifest.

    The same bundle gives the same bytes. Nothing of it is run.

    Args:
        bundle: its root.
        folder: where the copy goes, not there yet.

    Raises:
        InputError: E_BUNDLE, there are no weights, or weights that are not a plain state dict; a
            link lies in it; or a config names medvol in a way that cannot be carried.
    """
    left_out = _copied(bundle, folder)
    needed = _carry(folder)
    copy_as_safetensors(folder / "models")
    return Prepared(len(needed.files) if needed else 0, left_out)


def _copied(bundle: Path, folder: Path) -> tuple[str, ...]:
    """Copy what belongs to a bundle; the rest by path, without what is hidden.

    Raises:
        InputError: E_BUNDLE, there are no weights.
    """
    if not any((bundle / "models").glob("*")):
        raise InputError(
            "E_BUNDLE", bundle / "models", "there are no weights to pack.", "Train or fetch them."
        )
    left_out = []
    for path in sorted(bundle.rglob("*")):
        below = path.relative_to(bundle)
        hidden = any(is_hidden(part) or part == "__pycache__" for part in below.parts)
        if below.parts[0] in MADE_ANEW or (path.is_dir() and not path.is_symlink()):
            continue
        if not hidden and _belongs(below):
            if path.is_symlink():
                raise InputError(
                    "E_BUNDLE", path, "a link lies in the bundle.", "Put the file itself there."
                )
            target = folder / below
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        elif not hidden:
            left_out.append(below.as_posix())
    return tuple(left_out)


def _belongs(below: Path) -> bool:
    """Whether a file is part of a bundle, and not something that was left in its folder."""
    if len(below.parts) == 1:
        return any(below.match(pattern) for pattern in ROOT_FILES)
    room = below.parts[0]
    return room in ROOMS and (room != "scripts" or below.suffix == SOURCE_ONLY)


def _carry(folder: Path) -> Vendored | None:
    """Put the parts of medvol into a bundle that its configs name; None where they name none.

    Raises:
        InputError: E_BUNDLE, a config names medvol in a way that cannot be carried.
    """
    files = config_files(folder)
    configs = {
        path: ConfigParser.load_config_file(path)
        for stem, path in files.items()
        if stem != "metadata"
    }
    names = set()
    for path, config in configs.items():
        try:
            names |= {name for _, name in names_in(config)}
            needed = vendored_for(names)
        except ValueError as error:
            raise refused(path, error) from error
    if not names:
        return None
    tree = folder / needed.folder
    for file, content in needed.files.items():
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_bytes(content)
    dotted = needed.folder.replace("/", ".")
    for path, config in configs.items():
        whole = "bundle_root" in config  # and no overlay
        if whole or any(names_in(config)):
            _write_config(path, carried(config, dotted, whole=whole))
    targets = {
        value["_target_"]
        for config in configs.values()
        for _, value in entries(config)
        if isinstance(value, dict) and isinstance(value.get("_target_"), str)
    }
    metadata = files["metadata"]
    _write_config(metadata, required(ConfigParser.load_config_file(metadata), needed, targets))
    (folder / LICENCE).parent.mkdir(exist_ok=True)
    (folder / LICENCE).write_text(_licence(), encoding="utf-8")
    return needed


def _write_config(path: Path, content: Mapping[str, Any]) -> None:
    if path.suffix == ".json":
        path.write_text(to_text(content) + "\n", encoding="utf-8")
    else:
        ConfigParser.export_config_file(dict(content), str(path), fmt="yaml", sort_keys=False)


def _licence() -> str:
    """The licence of medvol, as it lies in its repository or in its wheel."""
    beside = OWN_PACKAGE.parent / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    return distribution("medvol").read_text("licenses/LICENSE") or ""
