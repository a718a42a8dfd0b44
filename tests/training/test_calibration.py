# SPDX-License-Identifier: Apache-2.0
"""What is fitted on held-out cases: the bias of classes and Platt's line, and how they get in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medvol.metrics.classes.calibration import fit_platt
from medvol.training.calibration import (
    BIASES,
    BiasOverlaps,
    ClassBias,
    OperatingPoint,
    PlattScaling,
    bias_counts,
)
from medvol.transforms.body import KeepInsideBodyd


def test_overlaps_for_each_bias_are_those_of_the_shifted_scores(tmp_path: Path) -> None:
    """Against a second way: class probabilities, each lesion class exp(bias) times as likely."""
    random = torch.Generator().manual_seed(1)
    scores = torch.randn(4, 6, 5, 4, generator=random)
    label = torch.randint(0, 4, (1, 6, 5, 4), generator=random)
    made = BiasOverlaps(tmp_path / "bias.csv", [1, 2])
    for bias, counts in zip(BIASES, made.measure({"pred": scores, "label": label}), strict=True):
        p = scores.double().softmax(0)
        p[1:3] *= np.exp(bias)
        marked, true = np.isin(p.argmax(0), (1, 2)), np.isin(label[0], (1, 2))
        assert counts == [(marked & true).sum(), marked.sum(), true.sum()]


def test_nothing_is_marked_outside_the_body(tmp_path: Path) -> None:
    image = torch.zeros(1, 16, 16, 2)  # air, and a body in the middle
    image[:, 4:12, 4:12] = 1.0
    scores = torch.zeros(2, 16, 16, 2)
    scores[1] = 1.0
    item = {"image": image, "pred": scores, "label": torch.ones(1, 16, 16, 2)}
    inside = KeepInsideBodyd("pred", window_hu=(-1000.0, 0.0))
    free = BiasOverlaps(tmp_path / "a.csv", [1], biases=[0])
    kept = BiasOverlaps(tmp_path / "a.csv", [1], biases=[0], inside=inside)
    assert free.measure(item) == [[512, 512, 512]]
    assert kept.measure(item) == [[128, 128, 512]]
    assert scores[1].min() == 1.0  # the network's scores stay as they are


def bias_table(path: Path, rows: list[tuple[Any, ...]]) -> None:
    path.parent.mkdir()
    lines = ["case,bias,voxels_both,voxels_predicted,voxels_true"]
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in rows)]) + "\n")


def test_the_bias_is_the_best_in_the_mean_over_folds(tmp_path: Path) -> None:
    """Pooled within a fold: the fold with the large lesions does not decide alone."""
    bias_table(tmp_path / "fold0" / "bias.csv",
               [("a", 0.0, 80, 100, 100), ("a", 1.0, 60, 100, 100),
                ("b", 0.0, 800, 1000, 1000), ("b", 1.0, 700, 1000, 1000)])  # fmt: skip
    bias_table(tmp_path / "fold1" / "bias.csv",
               [("c", 0.0, 1, 10, 10), ("c", 1.0, 4, 10, 10)])  # fmt: skip
    assert bias_counts(tmp_path / "fold0" / "bias.csv")[1.0] == [760, 1100, 1100]
    choice = ClassBias("bias.csv", training="model", classes=[1, 2], layer="b")
    chosen = choice.choose([tmp_path / "fold0", tmp_path / "fold1"])
    # 0: (0.8 + 0.1) / 2; 1: (760 / 1100 + 0.4) / 2
    assert chosen == {"bias": 1.0, "dice": {"0": 0.45, "1": round((760 / 1100 + 0.4) / 2, 4)}}
    assert choice.choose([tmp_path / "fold0"])["bias"] == 0.0
    state = {"b": torch.tensor([0.5, 0.5, 0.5, 0.5]), "w": torch.ones(1)}
    applied = choice.applied(state, chosen)
    assert applied["b"].tolist() == [0.5, 1.5, 1.5, 0.5]
    assert state["b"].tolist() == [0.5] * 4
    assert applied["w"] is state["w"]


def test_slices_are_calibrated_by_those_of_note(tmp_path: Path) -> None:
    rows = [(-1.0, 0), (0.5, 0), (0.0, 80), (2.0, 500), (9.0, 10)]  # the last is too small
    (tmp_path / "s.csv").write_text(
        "case,slice,log_odds,lesion_mm2\n"
        + "".join(f"a,{n},{odds},{mm2}\n" for n, (odds, mm2) in enumerate(rows))
    )
    choice = PlattScaling("s.csv", training="model", smallest_mm2=50.0)
    chosen = choice.choose([tmp_path])
    slope, offset = fit_platt([-1.0, 0.5, 0.0, 2.0], [0, 0, 1, 1])
    assert chosen == {"slope": pytest.approx(slope), "offset": pytest.approx(offset)}
    applied = choice.applied({"slope": torch.tensor(1.0), "w": torch.ones(2)}, chosen)
    assert float(applied["slope"]) == pytest.approx(slope)
    assert float(applied["offset"]) == pytest.approx(offset)
    assert applied["w"].tolist() == [1.0, 1.0]


def test_temperature_and_threshold_of_held_out_images(tmp_path: Path) -> None:
    """Odds of 9 that are right in three of four cases should have been 3, their root."""
    rows = [(0.9, 1)] * 3 + [(0.9, 0)] + [(0.1, 0)] * 3 + [(0.1, 1)]
    for fold, own in enumerate((rows[:5], rows[5:])):
        folder = tmp_path / f"fold{fold}"
        folder.mkdir()
        lines = [f"x.png,{1 - p:.2f},{p},{truth}" for p, truth in own]
        head = "image,probability_no,probability_yes,truth"
        (folder / "p.csv").write_text("\n".join([head, *lines]) + "\n")
    choice = OperatingPoint("p.csv", training="own")
    chosen = choice.choose([tmp_path / "fold0", tmp_path / "fold1"])
    assert chosen["temperature"] == pytest.approx(2.0, abs=0.002)  # odds of 9 become those of 3
    # 0.5 lies in the middle between 0.1 and 0.9, and stays there
    assert chosen["threshold"] == pytest.approx(0.5)
    assert choice.changes(chosen) == {
        "parameters#temperature": chosen["temperature"],
        "parameters#threshold": chosen["threshold"],
    }
    assert choice.changes({}) == {"parameters#temperature": 1.0, "parameters#threshold": None}


def test_three_classes_have_no_threshold(tmp_path: Path) -> None:
    head = "image,probability_a,probability_b,probability_c,truth"
    lines = [f"x.png,0.6,0.2,0.2,{truth}" for truth in (0, 0, 0, 1, 2)]
    (tmp_path / "p.csv").write_text("\n".join([head, *lines]) + "\n")
    chosen = OperatingPoint("p.csv", training="own").choose([tmp_path])
    # shares of 3 in 5 are what is said
    assert chosen == {"temperature": pytest.approx(1.0, abs=0.001), "threshold": None}
