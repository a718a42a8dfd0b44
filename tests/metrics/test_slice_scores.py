# SPDX-License-Identifier: Apache-2.0
"""The table of slices, written out."""

from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor

from medvol.metrics.slice_scores import SliceScores, log_odds


def probabilities(*odds: float) -> torch.Tensor:
    """(2, Z) whose log odds are these."""
    return torch.tensor([[-x / 2 for x in odds], [x / 2 for x in odds]]).softmax(0)


def test_log_odds_of_sure_slices_are_not_cut_off() -> None:
    odds = log_odds(probabilities(2.0, -3.0, 40.0, -60.0))
    torch.testing.assert_close(odds, torch.tensor([2.0, -3.0, 40.0, -60.0]))


def run(path: Path, names: list[dict[str, Any]]) -> str:
    """An evaluator that gives two volumes, one after the other."""
    outputs = [
        (probabilities(1.5, -0.25), torch.tensor([80.0, 0.0])),
        (probabilities(0.125), torch.tensor([12.5])),
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
