# SPDX-License-Identifier: Apache-2.0
"""Ranking of slices over volumes, and the table of their scores."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ignite.distributed
import pytest
import torch
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor

from medvol.metrics.slice_scores import SliceAuc, SliceScores, log_odds


def scores(*odds: float) -> torch.Tensor:
    """(2, Z) whose log odds are these."""
    return torch.tensor([[-x / 2 for x in odds], [x / 2 for x in odds]])


def area(*mm2: float) -> torch.Tensor:
    return torch.tensor([mm2])


def test_log_odds() -> None:
    assert log_odds(scores(2.0, -3.0)).tolist() == [2.0, -3.0]


def test_slices_of_all_volumes_are_ranked_together() -> None:
    """Positives 1 and 3, negatives 2 and 0: three of four pairs stand right; 9 is neither."""
    metric = SliceAuc(smallest_mm2=50.0)
    metric([scores(1.0, 2.0, 9.0)], [area(80.0, 0.0, 20.0)])
    metric([scores(3.0, 0.0)], [area(50.0, 0.0)])
    assert metric.aggregate().item() == 0.75
    metric.reset()
    metric([scores(3.0)], [area(50.0)])
    assert math.isnan(metric.aggregate().item())


def test_truth_is_needed() -> None:
    with pytest.raises(ValueError, match="needs the area of lesion"):
        SliceAuc(50.0)([scores(1.0)])


def run(path: Path, names: list[dict[str, Any]]) -> str:
    """An evaluator that gives two volumes, one after the other."""
    outputs = [(scores(1.5, -0.25), area(80.0, 0.0)), (scores(0.125), area(12.5))]

    def step(engine: Engine, index: int) -> list[dict[str, Any]]:
        predicted, mm2 = outputs[index]
        image = MetaTensor(torch.zeros(1), meta={"filename_or_obj": f"scans/{index}.nii.gz"})
        engine.state.batch = [names[index]]
        return [{"image": image, "pred": predicted, "label": mm2}]

    engine = Engine(step)  # type: ignore[arg-type]
    SliceScores(path).attach(engine)
    engine.run([0, 1])
    return path.read_text(encoding="utf-8")


def test_table(tmp_path: Path) -> None:
    text = run(tmp_path / "scores.csv", [{"case": "a"}, {}])
    assert text.splitlines() == [
        "case,slice,log_odds,lesion_mm2",
        "a,0,1.50000,80.00",
        "a,1,-0.25000,0.00",
        "1.nii.gz,0,0.12500,12.50",
    ]


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignite.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="written by one process but 2 run"):
        SliceScores("x.csv").attach(SimpleNamespace())  # type: ignore[arg-type]
