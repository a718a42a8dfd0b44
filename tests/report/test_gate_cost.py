# SPDX-License-Identifier: Apache-2.0
"""Table and picture of a gate's cost."""

import math
from pathlib import Path

import pytest
from matplotlib import image as pictures

from medvol.metrics.masks.gate_cost import Cost
from medvol.report.gate_cost import GateLook, draw_gate_cost, write_gate_cost

COSTS = [
    Cost(0.0, 0.0, 0.0, 0, 100.0, 40, 100.0, 0.5, 0.0, 12.0, -20.0),
    Cost(0.5, 1.25, 3.0, 1, 30.0, 4, 10.0, 0.625, 0.125, 4.0, 60.0),
]


def test_table(tmp_path: Path) -> None:
    nothing = COSTS[1]._replace(missed_percent=math.nan, missed_cases=0)
    write_gate_cost(tmp_path / "cost.csv", [*COSTS, nothing])
    lines = (tmp_path / "cost.csv").read_text().splitlines()
    assert lines[0].split(",") == list(Cost._fields)
    assert lines[2] == "0.5000,1.2500,3.0000,1,30.0000,4,10.0000,0.6250,0.1250,4.0000,60.0000"
    assert lines[3].split(",")[2:4] == ["", "0"]


@pytest.mark.parametrize("own", [None, 0.3])
def test_picture(tmp_path: Path, own: float | None) -> None:
    look = GateLook("a bundle, 2 cases", "lesion", 1.0, own)
    draw_gate_cost(tmp_path / "cost.png", COSTS, COSTS[0], look)
    height, width = pictures.imread(tmp_path / "cost.png").shape[:2]
    assert width > 2 * height > 300


def test_picture_without_any_lesion(tmp_path: Path) -> None:
    unknown = dict.fromkeys(("missed_percent", "dice", "dice_change"), math.nan)
    nothing = [cost._replace(**unknown, missed_cases=0) for cost in COSTS]
    draw_gate_cost(tmp_path / "cost.png", nothing, nothing[1], GateLook("b", "lesion", 1.0))
    assert (tmp_path / "cost.png").stat().st_size > 10_000
