# SPDX-License-Identifier: Apache-2.0
"""Masks, as volumes or as pictures: one value or one colour on black is what is marked."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .formats import format_of, open_volume
from .image import Image
from .picture import opaque, opened_picture, upright
from .slice_images import SLICE_SPACING_MM, centred_affine

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LOSSY = ("JPEG", "MPO")  # formats that change values
DARK, BRIGHT = 64, 192  # of 255: below is outside, from there on inside
TRUE_FROM = 128  # between the two, at borders that JPEG or a change of size made soft
MOST_SOFT = 1.0  # pixels between the two, for each that is clearly inside: red JPEG has 0.6
SAME_COLOUR = 96  # of 255, that a channel may differ from the colour of what is marked
REMEDY = "Save it as PNG, black outside and white inside."
Marked = npt.NDArray[np.bool_]


def open_mask(path: str | os.PathLike[str], *, series: str | None = None) -> Image:
    """Read and check one mask: a volume of labels, or a picture.

    Args:
        path, series: as for `read_image`.

    Raises:
        InputError: what `open_volume` or `load_mask_picture` refuses.
    """
    path = Path(path)
    form = format_of(path) if path.is_file() and os.path.getsize(path) else None
    is_picture = form is not None and form.volume is None and form.radiograph is not None
    return load_mask_picture(path) if is_picture else open_volume(path, series=series, kind="mask")


def load_mask_picture(path: Path) -> Image:
    """Read the mask of one slice, upright as its file asks.

    Returns:
        (columns, rows, 1) uint8, 0 and 1, at the place and with the spacing of
        `slice_images.load_slices`.

    Raises:
        InputError: what `opened_picture` and `opaque` refuse; E_VALUES, it is not sure what is
            marked.
    """
    with opened_picture(path) as picture:
        turned, notes = upright(picture)
        marked = marked_pixels(turned, path, lossy=picture.format in LOSSY)
        facts = {"format": "1 picture", "stored_dtype": "uint8"}
    array = marked.T[..., None].astype(np.uint8)
    affine = centred_affine(array.shape, SLICE_SPACING_MM)
    return Image(array, affine, path, tuple(notes), facts)


def marked_pixels(picture: "Picture", path: Path, *, lossy: bool) -> Marked:
    """Which pixels (rows, columns) of a picture are inside a mask.

    Black is outside; inside is one other value or colour: 255, 1, an entry of a palette, red. Soft
    borders are divided in the middle.

    Args:
        picture: (rows, columns), of any mode.
        path: for the message.
        lossy: its values may have been changed a little when it was saved.

    Raises:
        InputError: E_VALUES, several values or colours, much that is neither black nor bright,
            marks on all of its border, transparency that says more than the colours.
    """
    values = _values(picture, path)
    marked: Marked = np.asarray(values != 0 if values.ndim == 2 else values.any(-1))
    inside = values[marked]
    if lossy or (inside != inside[:1]).any():
        marked = _divided(values, path)
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    if border.all():
        reason = "all of its border is marked, as if outside and inside were exchanged."
        raise InputError("E_VALUES", path, reason, REMEDY)
    return marked


def _values(picture: "Picture", path: Path) -> npt.NDArray[Any]:
    """Greys (rows, columns), or colours (rows, columns, 3) where there are any."""
    mode = picture.mode
    if mode == "1":  # of which NumPy gets bools that are not all 0 and 1
        picture, mode = picture.convert("L"), "L"
    if mode in ("L", "I", "F") or mode.startswith("I;16"):
        return np.asarray(picture)
    colours = np.asarray(opaque(picture, path).convert("RGB"))
    if mode == "P" or "A" in picture.getbands():
        low, high = (picture if mode == "P" else picture.getchannel("A")).getextrema()
        if low != high and (colours == colours[0, 0]).all():
            what = "palette" if mode == "P" else "transparency"
            reason = f"its pixels have all the same colour, and only their {what} differs."
            raise InputError("E_VALUES", path, reason, REMEDY)
    grey = (colours == colours[..., :1]).all()
    return colours[..., 0] if grey else colours


def _divided(values: npt.NDArray[Any], path: Path) -> Marked:
    """What is bright, of 8 bits, where next to nothing lies between dark and bright."""
    level = values if values.ndim == 2 else values.max(-1)
    bright = level >= BRIGHT
    clear = level.dtype == np.uint8 and (bright.any() or not level.any())
    if clear and values.ndim == 3:
        colour = np.median(values[bright], axis=0)
        clear = bool((np.abs(values[bright] - colour) <= SAME_COLOUR).all())
    soft = np.count_nonzero((level >= DARK) & ~bright)
    if not clear or soft > MOST_SOFT * np.count_nonzero(bright):
        reason = f"it is not sure what the mask marks: it holds {_seen(values)}."
        raise InputError("E_VALUES", path, reason, REMEDY)
    divided: Marked = level >= TRUE_FROM
    return divided


def _seen(values: npt.NDArray[Any]) -> str:
    """The values or colours in words."""
    flat = values.reshape(-1, *values.shape[2:])
    there = np.unique(flat, axis=0).tolist()
    what = "grey" if values.ndim == 2 else "colour"
    some = ", ".join(f"{x:g}" if values.ndim == 2 else "-".join(map(str, x)) for x in there[:4])
    return f"{len(there)} {what}s, such as {some}" if len(there) > 4 else f"the {what}s {some}"
