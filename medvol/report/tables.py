# SPDX-License-Identifier: Apache-2.0
"""Measurements as a CSV file, and numbers as a reader wants to see them."""

import os
from collections.abc import Sequence

from ..files import write_csv
from ..metrics.measurements import Measurement

SIGNIFICANT_DIGITS = 6  # in the CSV file: a voxel of a micro-CT is 1e-9 ml


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
         *map(_digits, (row.volume_ml, row.mean_value, row.share_percent))]
        for row in rows
    ]  # fmt: skip
    write_csv(path, header, [line[: len(header)] for line in lines])


def ml_text(volume_ml: float) -> str:
    """Millilitres with as many decimals as help a reader: "1,234", "56.7", "0.43", "< 0.01"."""
    if 0 < volume_ml < 0.01:
        return "< 0.01"
    decimals = 0 if volume_ml >= 1000 else 1 if volume_ml >= 10 else 2
    return f"{volume_ml:,.{decimals}f}"


def hu_text(value_hu: float | None) -> str:
    """Whole HU with a true minus sign; a dash when there is none."""
    return "–" if value_hu is None else f"{round(value_hu):d}".replace("-", "−")


def percent_text(percent: float | None) -> str:
    """Percent with one decimal, "< 0.1" for a trace; a dash when there is none."""
    if percent is None:
        return "–"
    return "< 0.1" if 0 < percent < 0.1 else f"{percent:.1f}"


def _digits(number: float | None) -> str:
    return "" if number is None else f"{number:.{SIGNIFICANT_DIGITS}g}"
