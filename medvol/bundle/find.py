# SPDX-License-Identifier: Apache-2.0
"""Where a bundle lies: a folder the user names, or one that came with medvol."""

import difflib
import os
from pathlib import Path

from ..errors import InputError

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_bundles() -> dict[str, Path]:
    """Name to folder of the bundles that came with medvol, in a wheel or in its repository."""
    folders = [_PACKAGE / "_bundles", _PACKAGE.parent / "bundles"]
    root = next((folder for folder in folders if folder.is_dir()), None)
    if root is None:
        return {}
    return {
        f.parent.parent.name: f.parent.parent for f in sorted(root.glob("*/configs/metadata.json"))
    }


def find_bundle(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a bundle.

    Args:
        name_or_folder: name of a shipped bundle, or path of a bundle's folder.

    Raises:
        InputError: E_BUNDLE, neither; names the nearest shipped bundle.
    """
    name = os.fspath(name_or_folder)
    shipped = shipped_bundles()
    if name in shipped:
        return shipped[name]
    folder = Path(name)
    if folder.is_dir():
        if (folder / "configs" / "metadata.json").is_file():
            return folder.resolve()
        raise InputError(
            "E_BUNDLE", name, "the folder has no configs/metadata.json, so it is no MONAI bundle.",
            "Name the folder that holds configs/ and models/.",
        )  # fmt: skip
    near = difflib.get_close_matches(name, shipped, n=1, cutoff=0.4)
    raise InputError(
        "E_BUNDLE", name, "there is no such bundle and no such folder.",
        f"Did you mean {near[0]}?" if near else f"Shipped bundles are {', '.join(shipped)}.",
    )  # fmt: skip
