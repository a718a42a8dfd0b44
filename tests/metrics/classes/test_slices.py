# SPDX-License-Identifier: Apache-2.0
"""Slices of all volumes ranked together, against pairs counted by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor

from medvol.metrics.classes.slices import SliceAUC, SliceScores, log_odds


def probabilities(*positive: float) -> torch.Tensor:
    """(2, Z)."""
    return torch.tensor([[1 - p for p in positive], list(positive)])


def test_slices_of_all_volumes_are_ranked_together() -> None:
    """Positives 0.6 and 0.9, negatives 0.7 and 0.1: three of four pairs stand right."""
    metric = SliceAUC()
    metric([probabilities(0.6, 0.7)], [torch.tensor([2, 0])])
    metric([probabilities(0.9, 0.1)], [torch.tensor([1, 0])])
    assert metric.aggregate().item() == 0.75


def test_a_slice_with_a_little_lesion_is_left_out() -> None:
    metric = SliceAUC(smallest=50.0)
    metric([probabilities(0.6, 0.9, 0.1)], [torch.tensor([50.0, 49.0, 0.0])])
    assert metric.aggregate().item() == 1.0


def test_one_kind_of_slices_has_no_auc() -> None:
    metric = SliceAUC()
    metric([probabilities(0.6, 0.9)], [torch.tensor([0, 0])])
    assert math.isnan(metric.aggregate().item())


def test_truth_is_needed() -> None:
    with pytest.raises(ValueError, match="SliceAUC needs the truth"):
        SliceAUC()([probabilities(0.6)])


def of_odds(*odds: float) -> torch.Tensor:
    """(2, Z) whose log odds are these."""
    return torch.tensor([[-x / 2 for x in odds], [x / 2 for x in odds]]).softmax(0)


def test_log_odds_of_sure_slices_are_not_cut_off() -> None:
    odds = log_odds(of_odds(2.0, -3.0, 40.0, -60.0))
    torch.testing.assert_close(odds, torch.tensor([2.0, -3.0, 40.0, -60.0]))


def run(path: Path, names: list[dict[str, Any]]) -> str:
    """An evaluator that gives two volumes, one after the other."""
    outputs = [
        (of_odds(1.5, -0.25), torch.tensor([80.0, 0.0])),
        (of_odds(0.125), torch.tensor([12.5])),
    ]

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
