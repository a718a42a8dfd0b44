# SPDX-License-Identifier: Apache-2.0
"""`measurements.csv`: voxels, volume, mean value and share of each label."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_csv
from ..text import digits

if TYPE_CHECKING:
    from .save import Saving


def write(path: Path, saving: "Saving") -> None:
    """Write one line a label of an answer, empty where there is no number.

    Columns: value, name, voxels, volume_ml, the bundle's `mean_column` and, when it has an organ
    that shares are of, `share_of_<organ>_percent`.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    spec = saving.answer.spec
    header = ["value", "name", "voxels", "volume_ml", spec.mean_column]
    if spec.reference is not None:
        header.append(f"share_of_{'_'.join(spec.reference.name.split())}_percent")
    lines = [
        [row.value, row.name, row.voxels,
         *map(digits, (row.volume_ml, row.mean_value, row.share_percent))]
        for row in saving.answer.measurements
    ]  # fmt: skip
    write_csv(path, header, [line[: len(header)] for line in lines])
