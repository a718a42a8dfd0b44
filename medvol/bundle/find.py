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
        name_or_folder: path of a bundle's folder, or name of a shipped bundle. A folder of that
            name that is a bundle comes first: what the user has made is what the user means.

    Raises:
        InputError: E_BUNDLE, neither; names the nearest shipped bundle.
    """
    name = os.fspath(name_or_folder)
    shipped, folder = shipped_bundles(), Path(name)
    if (folder / "configs" / "metadata.json").is_file():
        return folder.resolve()
    if name in shipped:
        return shipped[name]
    if folder.is_dir():
        raise InputError(
            "E_BUNDLE", name, "the folder has no configs/metadata.json, so it is no MONAI bundle.",
            "Name the folder that holds configs/ and models/.",
        )  # fmt: skip
    near = difflib.get_close_matches(name, shipped, n=1, cutoff=0.4)
    raise InputError(
        "E_BUNDLE", name, "there is no such bundle and no such folder.",
        f"Did you mean {near[0]}?" if near else f"Shipped bundles are {', '.join(shipped)}.",
    )  # fmt: skip
