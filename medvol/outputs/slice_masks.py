# SPDX-License-Identifier: Apache-2.0
"""Masks of slice pictures: a picture for each, as large as its slice, and run lengths of all."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..files import replacing, write_csv
from ..images.rle import encode_rle
from ..images.slice_images import MASK_ENDING

if TYPE_CHECKING:
    from .save import Saving

MARKED = 255
COLUMNS = ("file", "slice", "marked", "rows", "columns", "mask_rle")


def write(path: Path, saving: "Saving") -> None:
    """Write the masks of an answer; see `write_slice_masks` for what it raises."""
    answer = saving.answer
    write_slice_masks(path, saving.mask, answer.spec.focus, answer.image.facts["slices"])


def write_runs(path: Path, saving: "Saving") -> None:
    """Write the run lengths of an answer; see `write_mask_runs` for what it raises."""
    answer = saving.answer
    write_mask_runs(path, saving.mask, answer.spec.focus, answer.image.facts["slices"])


def slice_masks(labels: npt.NDArray[Any], values: Collection[int]) -> list[npt.NDArray[np.uint8]]:
    """Each slice of a mask as its picture lies: (rows, columns), 255 where a value is.

    Args:
        labels: (columns, rows, slices).
        values: labels that count as marked.
    """
    marked = np.isin(labels, list(values))
    return [(marked[:, :, k].T * MARKED).astype(np.uint8) for k in range(labels.shape[2])]


def write_slice_masks(
    folder: Path, labels: npt.NDArray[Any], values: Collection[int], files: Sequence[str]
) -> None:
    """Write `<stem>_mask.png` for every slice picture; all black where nothing is marked.

    Args:
        folder: made when it is not there.
        labels, values: as for `slice_masks`.
        files: name of each slice's picture.

    Raises:
        InputError: E_NOSPACE, one cannot be written.
    """
    from PIL import Image as Picture

    for name, mask in zip(files, slice_masks(labels, values), strict=True):
        with replacing(folder / f"{Path(name).stem}{MASK_ENDING}.png") as temporary:
            Picture.fromarray(mask).save(temporary, optimize=True)


def write_mask_runs(
    path: Path, labels: npt.NDArray[Any], values: Collection[int], files: Sequence[str]
) -> None:
    """Write a line per slice picture with its mask's run lengths, down the columns as Kaggle does.

    Args:
        path: of the CSV; appears whole or not at all.
        labels, values, files: as for `write_slice_masks`.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    rows = (
        [name, k, int(mask.any()), *mask.shape, encode_rle(mask)]
        for k, (name, mask) in enumerate(zip(files, slice_masks(labels, values), strict=True))
    )
    write_csv(path, COLUMNS, rows, errors="surrogateescape")
