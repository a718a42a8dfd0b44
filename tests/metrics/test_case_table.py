# SPDX-License-Identifier: Apache-2.0
"""The CSV of an evaluation: a row a case and region, then pooled and mean."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from medvol.metrics.case_table import CaseTable

REGIONS = {"lesion": [1, 2], "solid": [2]}
AFFINE = torch.diag(torch.tensor([10.0, 10.0, 5.0, 1.0]))  # 500 mm^3, half a millilitre a voxel


def case(found: list[int], true: list[int], **more: Any) -> dict[str, Any]:
    shape = (1, len(true), 1, 1)
    label = MetaTensor(torch.tensor(true).reshape(shape), affine=AFFINE)
    return {"pred": torch.tensor(found).reshape(shape), "label": label, **more}


def run(table: CaseTable, cases: list[dict[str, Any]]) -> None:
    def step(engine: Engine, item: dict[str, Any]) -> list[dict[str, Any]]:
        engine.state.batch = [item]
        return [item]

    engine = Engine(step)  # type: ignore[arg-type]
    table.attach(engine)
    engine.run(cases)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_each_row_worked_out_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "eval" / "cases.csv"
    cases = [
        case([1, 2, 0, 0], [1, 1, 1, 0], case="a"),
        case([0, 1, 0, 0], [0, 0, 0, 0], case="b"),
        case([2, 2, 0, 0], [2, 2, 0, 0], case="c"),
    ]
    run(CaseTable(path, REGIONS), cases)
    assert rows(path) == [
        list(CaseTable.columns),
        ["a", "lesion", "0.8000", "2", "2", "3", "1.0000", "1.5000"],
        ["a", "solid", "0.0000", "0", "1", "0", "0.5000", "0.0000"],
        ["b", "lesion", "0.0000", "0", "1", "0", "0.5000", "0.0000"],
        ["b", "solid", "", "0", "0", "0", "0.0000", "0.0000"],  # both empty: not defined
        ["c", "lesion", "1.0000", "2", "2", "2", "1.0000", "1.0000"],
        ["c", "solid", "1.0000", "2", "2", "2", "1.0000", "1.0000"],
        ["pooled", "lesion", "0.8000", "", "", "", "", ""],  # 2 * 4 / (5 + 5)
        ["pooled", "solid", "0.8000", "", "", "", "", ""],  # 2 * 2 / (3 + 2)
        ["mean", "lesion", "0.9000", "", "", "", "", ""],  # of a and c; b has none
        ["mean", "solid", "1.0000", "", "", "", "", ""],  # of c
    ]


def test_volume_counts_the_voxels_size(tmp_path: Path) -> None:
    item = case([1, 1], [1, 0], case="a")
    item["label"].affine = torch.as_tensor(np.diag([2.0, 2.0, 2.5, 1.0]))
    run(CaseTable(tmp_path / "cases.csv", {"lesion": [1]}), [item])
    assert rows(tmp_path / "cases.csv")[1][6:] == ["0.0200", "0.0100"]
