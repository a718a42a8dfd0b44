# SPDX-License-Identifier: Apache-2.0
"""Run-length encoding of masks: pairs of start and length, as competitions ask for them."""

import os
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Order = Literal["F", "C"]
ORDERS = ("F", "C")  # NumPy's words: "F" runs down the columns, "C" along the rows


def encode_rle(mask: npt.NDArray[np.generic], *, order: Order = "F") -> str:
    """A mask as "start length start length ...", starts counted from 1.

    Args:
        mask: (rows, columns), not 0 is inside.
        order: "F" numbers the pixels down the columns, left column first, as Kaggle does; "C"
            along the rows.

    Returns:
        The pairs in rising order, without overlap or touch; "" for an empty mask.

    Raises:
        ValueError: another order, not two axes.

    Example:
        >>> encode_rle(np.array([[0, 1], [1, 1]]))
        '2 3'
    """
    _check(mask.shape, order)
    flat = np.asarray(mask != 0).ravel(order)
    borders = np.flatnonzero(np.diff(flat, prepend=False, append=False))
    starts, ends = borders[::2], borders[1::2]
    pairs = np.column_stack([starts + 1, ends - starts])
    return " ".join(map(str, pairs.ravel().tolist()))


def decode_rle(
    text: str,
    shape: tuple[int, int],
    *,
    order: Order = "F",
    path: str | os.PathLike[str] = "run lengths",
) -> npt.NDArray[np.uint8]:
    """The mask of an encoding.

    Args:
        text: as `encode_rle` gives it; "" and "-1" (as some files have it) are an empty mask.
        shape: (rows, columns).
        order: as for `encode_rle`.
        path: file that the text stands in, for messages.

    Returns:
        (rows, columns) uint8, 0 and 1.

    Raises:
        InputError: E_FORMAT, no pairs of whole numbers; E_CORRUPT, runs that are empty, overlap, go
            back, or leave the picture.
        ValueError: another order, no size.

    Example:
        >>> decode_rle("2 3", (2, 2)).tolist()
        [[0, 1], [1, 1]]
    """
    _check(shape, order)
    words = [] if text.strip() in ("", "-1") else text.split()
    if len(words) % 2 or not all(word.isascii() and word.isdecimal() for word in words):
        raise InputError(
            "E_FORMAT", path,
            f"the run lengths {_short(text)} are not pairs of start and length in whole numbers.",
            "Give start and length of each run, apart by blanks.",
        )  # fmt: skip
    pixels = shape[0] * shape[1]
    flat = np.zeros(pixels, np.uint8)
    before = 0
    for start, length in zip(map(int, words[::2]), map(int, words[1::2]), strict=True):
        end = start - 1 + length
        if start - 1 < before or length < 1 or end > pixels:
            raise InputError(
                "E_CORRUPT", path,
                f"the run {start} {length} is empty, overlaps the run before it, or leaves the "
                f"picture of {shape[0]} x {shape[1]}.",
                "Check size and flatten order of the picture; starts count from 1.",
            )  # fmt: skip
        flat[start - 1 : end] = 1
        before = end
    return flat.reshape(shape, order=order)


def _check(shape: tuple[int, ...], order: str) -> None:
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}; give 'F' (columns first) or 'C' (rows first)")
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"the mask has shape {tuple(shape)}; give (rows, columns)")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
