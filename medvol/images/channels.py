# SPDX-License-Identifier: Apache-2.0
"""One patient's volumes as the channels that a bundle made elsewhere names: T1c, T1, T2, FLAIR."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError, Note
from ..spatial import same_grid
from .files import children, read_head
from .find import find_volumes, is_mask
from .formats import HEAD_BYTES, checked_volume, open_volume
from .image import Image
from .nifti import frames_of_nifti, is_nifti, load_frames
from .numbering import check_one_patient
from .sequences import WORDS, words_of

KNOWN = (*WORDS[1:], ("t2", ("t2", "t2w", "t2n")))  # what a word says of a sequence, in order
SHOWN = "flair"  # of several channels the one that is shown and measured, where it is there


def load_channels(path: Path, names: Sequence[str]) -> Image:
    """Read one patient: a folder with a volume for each channel, or one 4D NIfTI.

    Args:
        path: a folder whose files say by their names which channel they are, as T1c, T1, T2 and
            FLAIR are written, or by the channel's own name; or a 4D NIfTI with the channels in
            their order, as a note says.
        names: of the channels, in the order of the network's input; "" for one without a name.

    Returns:
        `array` is FLAIR, or else the first; `channels` (C, X, Y, Z) are all of them.

    Raises:
        InputError: it cannot be used; the code says why. E_SERIES, a channel is missing, or two
            files are one; E_GEOMETRY, they do not lie on one grid.
    """
    if path.is_file():
        return _of_frames(path, names)
    files = channel_files(path, names)
    images = [open_volume(file) for file in files]
    first = images[0]
    for image in images[1:]:
        if not same_grid(image.array.shape, image.affine, first.array.shape, first.affine):
            reason = f"{image.path.name} does not lie on the grid of {first.path.name}."
            remedy = "Resample them to one grid, as the data was that the bundle was trained on."
            raise InputError("E_GEOMETRY", path, reason, remedy)
    facts = {name: file.name for name, file in zip(names, files, strict=True)}
    return _stacked(replace(first, path=path), images, names, facts={"sequences": facts})


def channel_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """The file of each channel, in their order.

    Raises:
        InputError: E_SERIES, one is missing, two are one, or of different patients.
    """
    volumes = [x for x in find_volumes(folder) if x != folder and not is_mask(x)]
    found = []
    for name in names:
        fitting = [x for x in volumes if _is_of(x.name, name)]
        if len(fitting) != 1:
            several = " and ".join(x.name for x in fitting[:2])
            what = f"{several} both look like {name!r}." if fitting else f"no file is {name!r}."
            wanted = ", ".join(filter(None, names)) or f"{len(names)} channels"
            raise InputError(
                "E_SERIES", folder, what,
                f"Name the files {wanted}, such as {name or 'one'}.nii.gz, in a folder of their "
                "own; or give one 4D NIfTI with them in this order.",
            )  # fmt: skip
        found += fitting
    of_files = {word for name in names for word in (*words_of(name), *_spellings(name))}
    check_one_patient(
        folder, {x.name: [w for w in words_of(x.name) if w not in of_files] for x in found}
    )
    return found


def find_channels(folder: Path, names: Sequence[str]) -> list[Path]:
    """The patients of a folder: itself, or its sub-folders and 4D files that hold all channels.

    Args:
        folder: that is looked at.
        names: of the channels.

    Returns:
        The folder itself when nothing in it fits, so that reading it says what is wrong.
    """

    def fits(place: Path) -> bool:
        if place.is_file():
            head = read_head(place, HEAD_BYTES)
            return is_nifti(head) and frames_of_nifti(place) == len(names)
        try:
            return bool(channel_files(place, names))
        except InputError:
            return False

    return [folder] if fits(folder) else list(filter(fits, children(folder))) or [folder]


def _of_frames(path: Path, names: Sequence[str]) -> Image:
    order = ", ".join(filter(None, names)) or f"{len(names)} channels"
    if not is_nifti(read_head(path, HEAD_BYTES)) or frames_of_nifti(path) != len(names):
        reason = f"it is one file; the bundle takes {len(names)} channels."
        remedy = f"Give a folder with a file for each of {order}; or a 4D NIfTI of them."
        raise InputError("E_SERIES", path, reason, remedy)
    images = [checked_volume(image) for image in load_frames(path)]
    note = Note("N_SEQUENCE", f"its {len(images)} volumes are taken as {order}, in this order.")
    return _stacked(images[0], images, names, notes=[note])


def _stacked(
    first: Image, images: Sequence[Image], names: Sequence[str], *,
    facts: dict[str, object] | None = None, notes: Sequence[Note] = (),
) -> Image:  # fmt: skip
    shown = next((i for i, name in enumerate(names) if _sequence(name) == SHOWN), 0)
    every = dict.fromkeys([*(note for image in images for note in image.notes), *notes])
    return replace(
        first, array=images[shown].array, notes=tuple(every),
        facts={**first.facts, "channels": list(names), **(facts or {})},
        channels=np.stack([image.array for image in images]), instances=(),
    )  # fmt: skip


def _is_of(file: str, name: str) -> bool:
    """Whether a file's name says that it is a channel."""
    known = _sequence(name)
    if known is not None:
        return _sequence(file) == known
    return bool(name) and set(words_of(name)) <= set(words_of(file))


def _sequence(name: str) -> str | None:
    words = set(words_of(name))
    return next((sequence for sequence, said in KNOWN if words & set(said)), None)


def _spellings(name: str) -> tuple[str, ...]:
    return next((said for sequence, said in KNOWN if sequence == _sequence(name)), ())
