# SPDX-License-Identifier: Apache-2.0
"""A radiograph kept as a picture, whatever its kind of pixels, as grey in [0, 1]."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, Note
from .grey import Grey, grey_of_colours, grey_of_values, scaled_bits
from .image import Image
from .picture import TRANSPARENT, opaque, opened_picture, upright

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_COLOURS = (*TRANSPARENT, "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_PHOTOMETRIC, _SAMPLE_BITS = 262, 258  # TIFF tags
_WHITE_IS_ZERO = 0
_LOWEST_WITH_8_BITS = 16  # 4096 / 256


def load_radiograph_picture(path: Path, *, colours: bool = False) -> Image:
    """Read a PNG, JPEG, TIFF, BMP or GIF as a radiograph, upright as its file asks.

    Colours become their brightness, see `grey_of_colours`. Colour profiles and gamma are not looked
    at.

    Args:
        path: of the picture.
        colours: it need not be a radiograph: any colours are taken, 8 bits each.

    Returns:
        (rows, columns) float32 in [0, 1], and an affine without spacing, since pictures have none.

    Raises:
        InputError: what `opened_picture` and `opaque` refuse; E_VALUES, values that are not grey.
    """
    with opened_picture(path) as picture:
        facts = {"format": picture.format, "stored_mode": picture.mode}
        inverted = _is_inverted(picture)
        deep = _has_deep_colours(picture)
        turned, notes = upright(picture)
        remarks: list[Note] = []
        if colours and picture.mode in _COLOURS:
            pixels = scaled_bits(np.asarray(turned.convert("L")), 8)
        else:
            pixels, remarks = _grey(opaque(turned, path), path)
        if deep and pixels.max() < _LOWEST_WITH_8_BITS / 255:
            reason = "it has 16 bits a colour, of which the upper ones are unused."
            raise InputError("E_VALUES", path, reason, "Save it as grey of 16 bits.")
    if inverted:
        pixels = 1 - pixels
    return Image(pixels, np.eye(4), path, (*notes, *remarks), facts)


def _grey(picture: "Picture", path: Path) -> tuple[Grey, list[Note]]:
    mode = picture.mode
    if mode == "1":
        return scaled_bits(np.asarray(picture), 1), []
    if mode in ("L", "I", "F") or mode.startswith("I;16"):
        if _tag(picture, _SAMPLE_BITS) == (12,):  # packed so; files of 16 bits do not say
            return scaled_bits(np.asarray(picture), 12), []
        return grey_of_values(np.asarray(picture), path)
    if mode not in _COLOURS:
        reason = f"its pixels are of kind {mode}, which is neither grey nor usual colours."
        raise InputError("E_VALUES", path, reason, "Save it as grey of 8 or 16 bits.")
    return grey_of_colours(picture.convert("RGB"), path), []


def _is_inverted(picture: "Picture") -> bool:
    """Whether 0 is white in what Pillow gives; 8 bits and fewer it turns round by itself."""
    return picture.mode not in ("1", "L") and _tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _has_deep_colours(picture: "Picture") -> bool:
    """Whether there were 16 bits a colour, of which Pillow keeps the upper 8."""
    tiles = getattr(picture, "tile", [])
    return picture.mode in _COLOURS and any(";16" in str(tile[3]) for tile in tiles)


def _tag(picture: "Picture", number: int) -> Any:
    """The value of a TIFF tag; None in other files."""
    return getattr(picture, "tag_v2", {}).get(number)
