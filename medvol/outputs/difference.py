# SPDX-License-Identifier: Apache-2.0
"""`difference.csv`, `errors.png`, `errors.seg.nrrd`: a prediction beside the mask by hand."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_csv
from ..metrics.masks.comparison import COLUMNS, ERRORS, error_map
from ..report.error_picture import draw_errors
from ..text import digits
from .pictures import look_of
from .seg_nrrd import write_seg_nrrd

if TYPE_CHECKING:
    from .save import Saving


def write(path: Path, saving: "Saving") -> None:
    """Write one line a region; the mask by hand is taken for true.

    Columns: region and `comparison.COLUMNS`, empty where a figure is not defined.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    rows = {name: figures.row() for name, figures in saving.answer.difference.items()}
    lines = [[name, *(digits(row[column]) for column in COLUMNS)] for name, row in rows.items()]
    write_csv(path, ["region", *COLUMNS], lines)


def write_picture(path: Path, saving: "Saving") -> None:
    """Draw the slices with most difference; see `draw_errors` for what it raises."""
    answer = saving.answer
    draw_errors(
        path, answer.image, saving.mask, saving.predicted, table=answer.spec.labels,
        look=look_of(saving, title=f"{answer.case}: prediction beside the mask by hand"),
    )  # fmt: skip


def write_segments(path: Path, saving: "Saving") -> None:
    """Write what the prediction missed and falsely marked; see `write_seg_nrrd`."""
    answer = saving.answer
    errors = error_map(saving.predicted, saving.mask, answer.spec.focus)
    write_seg_nrrd(path, errors, answer.image.affine, ERRORS)
