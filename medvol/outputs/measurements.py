# SPDX-License-Identifier: Apache-2.0
"""`measurements.csv`: voxels, volume, mean value and share of each label."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..bundle.spec import Spec
from ..files import write_csv
from ..metrics.measurements import Measurement
from ..text import digits

if TYPE_CHECKING:
    from .save import Saving


def write(path: Path, saving: "Saving") -> None:
    """Write the measurements of an answer; see `write_measurements` for what it raises."""
    answer = saving.answer
    reference = answer.spec.reference
    write_measurements(
        path, answer.measurements, reference.name if reference else None,
        mean_column=mean_column(answer.spec),
    )  # fmt: skip


def mean_column(spec: Spec) -> str:
    """What the mean value of a label is called: "mean_hu" or "mean_intensity"."""
    return f"mean_{spec.values.lower()}"


def write_measurements(
    path: str | os.PathLike[str],
    rows: Sequence[Measurement],
    reference_name: str | None,
    *,
    mean_column: str = "mean_hu",
) -> None:
    """Write one line a label, empty where there is no number.

    Columns: value, name, voxels, volume_ml, `mean_column` and, when there is a reference,
    `share_of_<reference>_percent`.

    Args:
        path: of the CSV; appears whole or not at all.
        rows: of the labels.
        reference_name: of the organ that shares are of; None without one.
        mean_column: name of the column with mean values.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    header = ["value", "name", "voxels", "volume_ml", mean_column]
    if reference_name is not None:
        header.append(f"share_of_{'_'.join(reference_name.split())}_percent")
    lines = [
        [row.value, row.name, row.voxels,
         *map(digits, (row.volume_ml, row.mean_value, row.share_percent))]
        for row in rows
    ]  # fmt: skip
    write_csv(path, header, [line[: len(header)] for line in lines])
