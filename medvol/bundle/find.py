# SPDX-License-Identifier: Apache-2.0
"""Where a bundle lies: a folder that the user names, one of the user's own, received or shipped."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..metadata import METADATA, read_metadata
from .places import home_folder as home_folder
from .places import user_folder as user_folder
from .store import AT, installed, installed_bundle, newest

_PACKAGE = Path(__file__).resolve().parents[1]
MODALITIES = {  # of images, and words in a name that mean them
    "CT": {"ct", "hrct", "cta"},
    "MR": {"mr", "mri", "flair", "brain", "head", "glioma", "lgg"},
    "XR": {"xr", "xray", "ray", "cxr", "cr", "dx", "radiograph", "radiographs"},
}
PARTS = "_parts"  # beside the bundles: what their sources share


def shipped_folder() -> Path | None:
    """The folder of the bundles that came with medvol, in a wheel or in its repository."""
    folders = [_PACKAGE / "_bundles", _PACKAGE.parent / "bundles"]
    return next((folder for folder in folders if folder.is_dir()), None)


def shipped_bundles() -> dict[str, Path]:
    """Name to folder of the bundles that came with medvol."""
    return _bundles_in(shipped_folder())


def all_bundles() -> dict[str, Path]:
    """Name to folder of every bundle with a name: shipped, received, and the user's own.

    A bundle of the user's hides others of the same name, and a received one a shipped one; of
    several versions that were received the newest counts.

    Raises:
        InputError: E_CORRUPT, the list of what was received is damaged.
    """
    received = {bundle.name: bundle.folder for bundle in newest()}
    return {**shipped_bundles(), **received, **_bundles_in(user_folder())}


def _bundles_in(root: Path | None) -> dict[str, Path]:
    # one whose name begins with a dot is not finished yet
    metadata = sorted(root.glob(f"[!.]*/{METADATA}")) if root else []
    return {file.parent.parent.name: file.parent.parent for file in metadata}


def find_part(name: str, bundle: Path | None = None) -> Path:
    """The file of a part that sources of bundles share.

    Args:
        name: such as "lung_ct".
        bundle: root of the bundle whose source names it. Parts beside it come before the shipped;
            None looks among the shipped alone.

    Raises:
        InputError: E_BUNDLE, there is no such part; names the nearest.
    """
    roots = [root for root in (bundle and bundle.parent, shipped_folder()) if root]
    found = {p.stem: p for root in reversed(roots) for p in sorted((root / PARTS).glob("*.json"))}
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
    raise InputError(
        "E_BUNDLE", bundle / "source.json" if bundle else name,
        f"there is no part {name!r}, which it names.",
        f"Did you mean {near[0]}?" if near else f"Parts are {', '.join(found)}.",
    )  # fmt: skip


def find_bundle(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a bundle.

    Args:
        name_or_folder: path of a bundle's folder, or name of a bundle of the user's own, one that
            was received or a shipped one, in this order: what the user has made is what the user
            means. NAME@VERSION is one that was received.

    Raises:
        InputError: E_BUNDLE, neither; names the nearest bundle. E_CORRUPT, the list of what was
            received is damaged.
    """
    name = os.fspath(name_or_folder)
    folder = Path(name)
    if (folder / METADATA).is_file():
        return folder.resolve()
    named = all_bundles()
    if name in named:
        return named[name]
    if AT in name and (received := installed_bundle(name)):
        return received.folder
    if folder.is_dir():
        raise InputError(
            "E_BUNDLE", name, "it is not a MONAI bundle: configs/metadata.json is missing.",
            "Name the folder that holds configs/ and models/.",
        )  # fmt: skip
    if folder.is_file() and folder.suffix.lower() == ".zip":
        raise InputError(
            "E_BUNDLE", name, "it is a packed bundle, and this takes one by name or folder.",
            "Receive it with `medvol bundle receive`, or unzip it.",
        )  # fmt: skip
    raise InputError(
        "E_BUNDLE", name, "there is no such bundle and no such folder.", _meant(name, named)
    )


def _meant(name: str, named: Mapping[str, Path]) -> str:
    """The bundle that a name is a slip of, among those of the modality that it speaks of.

    Args:
        name: of no bundle.
        named: name to folder of all bundles.
    """
    words = set(re.findall(r"[a-z]+", name.lower()))
    asked = {modality for modality, own in MODALITIES.items() if words & own}
    suited = {x for x, folder in named.items() if _modality(folder) in asked} or set(named)
    plain = name.partition(AT)[0]
    if AT in name and (versions := [x.title for x in installed() if x.name == plain]):
        return f"Received are {', '.join(versions)}."
    near = difflib.get_close_matches(name.lower(), sorted(suited), n=1, cutoff=0.4)
    if near:
        return f"Did you mean {near[0]}?"
    kind = f" for {' and '.join(sorted(asked))}" if suited < set(named) else ""
    return f"Bundles{kind} are {', '.join(x for x in named if x in suited)}."


def _modality(folder: Path) -> str | None:
    """Of a bundle's images, where its metadata say so."""
    try:
        metadata = read_metadata(folder)
        return str(metadata["network_data_format"]["inputs"]["image"]["modality"])
    except (InputError, KeyError, TypeError):  # who loads it says what is wrong
        return None
