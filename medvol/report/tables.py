# SPDX-License-Identifier: Apache-2.0
"""Measurements as a CSV file."""

import os
from collections.abc import Sequence

from ..files import write_csv
from ..metrics.measurements import Measurement
from ..text import digits


def write_measurements(
    path: str | os.PathLike[str],
    rows: Sequence[Measurement],
    reference_name: str | None,
    *,
    mean_column: str = "mean_hu",
) -> None:
    """Write `measurements.csv`: one line a label, UTF-8, empty where there is no number.

    Columns: value, name, voxels, volume_ml, `mean_column` and, when there is a reference,
    `share_of_<reference>_percent`.

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
