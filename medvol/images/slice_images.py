# SPDX-License-Identifier: Apache-2.0
"""MR slices kept as colour pictures: three sequences of one slice as red, green and blue.

So the LGG data set of Buda et al. 2019 (doi 10.1016/j.compbiomed.2019.05.002) keeps them: red is
before contrast, green FLAIR, blue after contrast. A picture knows no place: columns are taken to go
from the patient's right to left, rows from front to back, slices from feet to head, as they do in
that data set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from ..spatial import Affine
from .checks import checked_place
from .files import children
from .find import is_mask
from .formats import ends_with, suffixes
from .image import Image
from .numbering import check_numbers
from .picture import opaque, opened_picture, upright

MASK_ENDING = "_mask"
SEQUENCES = ("t1", "flair", "t1c")  # order of the channels: before contrast, FLAIR, after contrast
SEQUENCE_NAMES = ("before contrast", "FLAIR", "after contrast")  # as a bundle's metadata has them
SHOWN = 1  # FLAIR: what is drawn and measured; lower-grade gliomas are marked on it
WHITE_FRAME = 200  # of 255, at the edges of the darkest sequence; at most 2 in 99 LGG patients
# Pictures have no spacing. In plane: heads of the 99 LGG patients are 171 x 214 pixels in the
# median, and an adult head about 155 x 195 mm. Between slices: 35 slices in the median.
SLICE_SPACING_MM = (0.9, 0.9, 5.0)


def is_slice_picture(path: Path) -> bool:
    """Whether this is a picture by its name, and no mask of one (`..._mask.png`)."""
    return ends_with(path, suffixes("slices")) and not is_mask(Path(path.name))


def find_slices(folder: Path) -> list[Path]:
    """The slice pictures directly inside a folder, numbers in names counted: _2 before _10.

    Raises:
        InputError: E_PATH, no such folder.
    """
    return [path for path in children(folder) if is_slice_picture(path)]


def mask_beside(picture: Path) -> Path:
    """The mask of a slice picture: `<name>_mask` in its folder, whatever its suffix and capitals.

    Raises:
        InputError: E_PATH, there is none; E_SERIES, there are several.
    """
    name = picture.stem + MASK_ENDING
    pictures = [path for path in children(picture.parent) if ends_with(path, suffixes("slices"))]
    found = [path for path in pictures if path.stem.lower() == name.lower()]
    if not found:
        reason = f"there is no {name} beside it."
        raise InputError("E_PATH", picture, reason, "Copy the whole data set into the folder.")
    if len(found) > 1:
        reason = f"{found[0].name} and {found[1].name} both look like its mask."
        raise InputError("E_SERIES", picture, reason, "Keep one mask a slice.")
    return found[0]


def load_slices(
    path: Path, pictures: Sequence[Path], *, spacing_mm: Sequence[float] | None = None
) -> Image:
    """One patient's slices, one above the other.

    Args:
        path: what the user named, for messages and the result.
        pictures: colour pictures of one size, from feet to head.
        spacing_mm: of columns, rows and slices; None assumes `SLICE_SPACING_MM`, with a note.

    Returns:
        `array` is FLAIR (columns, rows, slices), uint8; `channels` all of `SEQUENCES`. The centre
        lies at 0 mm.

    Raises:
        InputError: what `read_picture` and `check_numbers` refuse; E_DIMS, sizes that differ;
            E_VALUES, one value everywhere; E_MODALITY, white at the edges; E_GEOMETRY, a spacing
            that no head has.
        ValueError: a spacing that is not three positive numbers.
    """
    notes: list[Note] = []
    if spacing_mm is None:
        spacing_mm = SLICE_SPACING_MM
        assumed = " x ".join(f"{mm:g}" for mm in spacing_mm)
        text = f"pictures carry no spacing; {assumed} mm was assumed, volumes in ml follow from it."
        notes.append(Note("N_SPACING", text))
    if len(spacing_mm) != 3 or min(spacing_mm) <= 0:
        raise ValueError(f"spacing_mm is {spacing_mm}; give three positive numbers, one an axis")
    check_numbers(path, pictures)
    read = [read_picture(picture) for picture in pictures]
    for picture, (pixels, _) in zip(pictures, read, strict=True):
        if pixels.shape != read[0][0].shape:
            reason = f"it is {_size(pixels)} pixels large, {pictures[0].name} {_size(read[0][0])}."
            remedy = "Put slices of one patient and one size into a folder of their own."
            raise InputError("E_DIMS", picture, reason, remedy)
    channels = np.stack([pixels for pixels, _ in read]).transpose(3, 2, 1, 0)
    if channels.min() == channels.max():
        raise InputError(
            "E_VALUES", path, "every pixel has the same value.", "Check that the export was whole."
        )
    if np.median(_frame(channels.min(0))) >= WHITE_FRAME:
        reason = "it is white at its edges, as a plot or a page is; around a head it is dark."
        raise InputError("E_MODALITY", path, reason, "Give slices of MR as they were exported.")
    turned = [note for _, its in read for note in its]
    affine = centred_affine(channels.shape[1:], spacing_mm)
    if not notes:  # the spacing was given, which may be wrong
        notes += checked_place(channels.shape[1:], affine, path)
    return Image(
        channels[SHOWN],
        affine,
        path,
        notes=(*notes, *turned[:1]),
        facts={
            "format": "1 picture" if len(read) == 1 else f"{len(read)} pictures",
            "stored_dtype": str(channels.dtype),
            "channels": list(SEQUENCES),
            "slices": [p.name for p in pictures],
        },
        channels=channels,
    )


def _frame(slices: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The outermost pixels (n,) of all slices (columns, rows, slices)."""
    sides = (slices[0], slices[-1], slices[:, 0], slices[:, -1])
    return np.concatenate([side.ravel() for side in sides])


def centred_affine(shape: Sequence[int], spacing_mm: Sequence[float]) -> Affine:
    """Columns to the left, rows to the back, slices to the head, the centre at 0 mm."""
    steps = np.array(spacing_mm, np.float64) * (-1, -1, 1)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.array(shape) - 1) / 2
    return affine


def read_picture(path: Path) -> tuple[npt.NDArray[np.uint8], list[Note]]:
    """The pixels of a colour picture, upright as its file asks.

    Returns:
        (rows, columns, 3) uint8, and what was noticed.

    Raises:
        InputError: what `opened_picture` and `opaque` refuse; E_VALUES, not three sequences as
            colours of 8 bits.
    """
    with opened_picture(path) as picture:
        if picture.mode not in ("RGB", "RGBA"):
            raise InputError(
                "E_VALUES", path,
                f"its pixels are of kind {picture.mode}, not colours of 8 bits; the sequences "
                "before contrast, FLAIR and after contrast are expected as red, green and blue.",
                "Save the three sequences of the slice as one RGB picture, or give NIfTI volumes.",
            )  # fmt: skip
        turned, notes = upright(picture)
        return np.asarray(opaque(turned, path).convert("RGB")), notes


def _size(pixels: npt.NDArray[Any]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
