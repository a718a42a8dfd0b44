# SPDX-License-Identifier: Apache-2.0
"""`measurements.csv`: voxels, volume, mean value and share of each label, and of each lung."""

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

    Of the lungs more lines follow, without a value: of lesion and of lung in each lung and in each
    third of it, which stand in one more column, `region`. The share of lesion is then of the lung
    in that region.

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
    lines = [line[: len(header)] for line in lines]
    if burden := saving.answer.burden:
        organ = spec.reference.name if spec.reference else ""
        header.append("region")
        lines = [[*line, ""] for line in lines]
        for x in burden.regions:
            share = digits(x.share_percent)
            lines += [
                ["", spec.focus_name, x.lesion_voxels, digits(x.lesion_ml), "", share, x.name],
                ["", organ, x.organ_voxels, digits(x.organ_ml), "", "", x.name],
            ]
    write_csv(path, header, lines)
