# SPDX-License-Identifier: Apache-2.0
"""Stored values of a picture to one grey in [0, 1], by the bits they were made with.

A division by the highest value that the bits can hold, rounded once: v / 255 of a picture with 8
bits and 257 v / 65535 of its twin with 16 are then the same float32.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from .checks import checked_values

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Grey = npt.NDArray[np.float32]
STRONG_COLOUR = 0.2  # highest minus lowest of red, green and blue; tinted film stays below
MAX_COLOURED_SHARE = 0.05  # of the pixels: a coloured stamp or letter is less, a photograph more
USUAL_BITS = (8, 12, 16)  # that stand in 16-bit files: screens, detectors, full range


def scaled_bits(stored: npt.NDArray[Any], bits: int) -> Grey:
    """Whole values (any shape) from 0 to 2^bits - 1 to [0, 1].

    Example:
        >>> scaled_bits(np.array([0, 51, 255]), 8).tolist() == np.float32([0, 0.2, 1]).tolist()
        True
    """
    return np.divide(stored, np.float32(2**bits - 1), dtype=np.float32)


def used_bits(highest: int) -> tuple[int, list[Note]]:
    """With how many bits the values of a 16-bit file were made, by the highest; what to remark.

    A detector of 12 bits leaves values below 4096 in its 16-bit file; read as 16 bits they would
    be nearly black. Files of 10 bits are read as 12, of 14 as 16: darker, with all their contrast.

    Args:
        highest: value of the picture, 0 to 65535.

    Example:
        >>> [used_bits(highest)[0] for highest in (255, 4095, 4096)]
        [8, 12, 16]
    """
    bits = next(bits for bits in USUAL_BITS if highest < 2**bits)
    text = f"its highest value is {highest}, so its 16 bits were read as {bits}."
    return bits, [Note("N_BITS", text)] if bits < 16 else []


def grey_of_values(stored: npt.NDArray[Any], path: Path) -> tuple[Grey, list[Note]]:
    """A picture (rows, columns) of bytes, of fractions, or of numbers by the bits they use.

    Raises:
        InputError: E_VALUES, whole numbers below 0 or above 65535, fractions below 0 or above 1,
            or what `checked_values` refuses.
    """
    if stored.dtype == np.uint8:
        return scaled_bits(stored, 8), []
    if stored.dtype.kind not in "iu":
        fractions = stored.astype(np.float32)[:, :, None]
        checked, notes = checked_values(fractions, path, "radiograph")
        low, high = float(checked.min()), float(checked.max())
        if low < 0 or high > 1:
            reason = f"its values are fractions from {low:.4g} to {high:.4g}, not 0 to 1."
            remedy = "Divide them by the value that stands for white, or save it with 8 or 16 bits."
            raise InputError("E_VALUES", path, reason, remedy)
        return checked[:, :, 0], notes
    low, high = int(stored.min()), int(stored.max())
    if low < 0 or high > 65535:
        reason = f"its values go from {low} to {high}, which is not a range of grey."
        remedy = "Save it with 8 or 16 bits a pixel, 0 black and the highest value white."
        raise InputError("E_VALUES", path, reason, remedy)
    bits, notes = used_bits(high)
    return scaled_bits(stored, bits), notes


def grey_of_colours(picture: "Picture", path: Path) -> Grey:
    """A picture of red, green and blue to its brightness in [0, 1], when it is grey to the eye.

    Args:
        picture: (rows, columns) of mode RGB. Where the three are equal, the brightness is that very
            value; else 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), in 8 bits.
        path: for the message.

    Raises:
        InputError: E_VALUES, more than `MAX_COLOURED_SHARE` of the pixels are strongly coloured.
    """
    share = coloured_share(np.asarray(picture))
    if share > MAX_COLOURED_SHARE:
        reason = f"{100 * share:.0f} % of its pixels are strongly coloured."
        raise InputError("E_VALUES", path, reason, "Give a radiograph in grey, without overlays.")
    return scaled_bits(np.asarray(picture.convert("L")), 8)


def coloured_share(colours: npt.NDArray[np.uint8]) -> float:
    """Share of pixels (rows, columns, 3) whose colours lie further apart than `STRONG_COLOUR`.

    Example:
        >>> coloured_share(np.array([[[90, 90, 90], [90, 20, 20]]], np.uint8))
        0.5
    """
    red, green, blue = (colours[..., k] for k in range(3))
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    return int(np.count_nonzero(highest - lowest > STRONG_COLOUR * 255)) / red.size
