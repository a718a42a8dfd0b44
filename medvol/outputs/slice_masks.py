# SPDX-License-Identifier: Apache-2.0
"""Masks of slice pictures: a picture for each, as large as its slice, and run lengths of all."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..files import replacing, write_csv
from ..images.rle import encode_rle
from ..images.slice_images import MASK_ENDING

if TYPE_CHECKING:
    from .save import Saving

MARKED = 255
COLUMNS = ("file", "slice", "marked", "rows", "columns", "mask_rle")


def write(folder: Path, saving: "Saving") -> None:
    """Write `<stem>_mask.png` for every slice picture; all black where nothing is marked.

    Args:
        folder: made when it is not there.
        saving: whose image says what its slice pictures are called.

    Raises:
        InputError: E_NOSPACE, one cannot be written.
    """
    from PIL import Image as Picture

    for name, marked in _slices(saving):
        with replacing(folder / f"{Path(name).stem}{MASK_ENDING}.png") as temporary:
            mask = (marked * MARKED).astype(np.uint8)
            Picture.fromarray(mask).save(temporary, optimize=True)


def write_runs(path: Path, saving: "Saving") -> None:
    """Write a line per slice picture with its mask's run lengths, down the columns as Kaggle does.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    rows = (
        [name, k, int(marked.any()), *marked.shape, encode_rle(marked)]
        for k, (name, marked) in enumerate(_slices(saving))
    )
    write_csv(path, COLUMNS, rows, errors="surrogateescape")


def _slices(saving: "Saving") -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Name of each slice picture, and where the focus is in it: (rows, columns)."""
    marked = np.isin(saving.mask, list(saving.answer.spec.focus))
    names = saving.answer.image.facts["slices"]
    return zip(names, marked.transpose(2, 1, 0), strict=True)
