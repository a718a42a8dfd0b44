# SPDX-License-Identifier: Apache-2.0
"""The choice of a gate and its threshold on held-out slices, by hand."""

import csv
from pathlib import Path

import pytest
import torch

from medvol.training.gate_choice import GateChoice, SliceOverlaps, SliceProbabilities

GATES = ("good", "poor")
# case: slices of (true, predicted, both, probability of the good gate, of the poor one)
FOLDS = {
    "fold0": {
        "a": [(0, 0, 0, 0.1, 0.9), (4, 4, 2, 0.6, 0.2), (0, 6, 0, 0.2, 0.2), (2, 1, 1, 0.8, 0.3)],
    },
    "fold1": {
        "b": [(0, 3, 0, 0.1, 0.8), (0, 0, 0, 0.3, 0.7), (5, 5, 5, 0.4, 0.1)],
        "c": [(0, 0, 0, 0.05, 0.5)],  # no finding at all
    },
}


@pytest.fixture
def folds(tmp_path: Path) -> list[Path]:
    for fold, cases in FOLDS.items():
        for name in ("segmenter", *GATES):
            (tmp_path / fold / name).mkdir(parents=True)
        rows = [(case, k, *s) for case, slices in cases.items() for k, s in enumerate(slices)]
        for name, columns, part in (
            ("segmenter", "case,slice,true,predicted,both", lambda r: r[:5]),
            ("good", "case,slice,probability", lambda r: (*r[:2], r[5])),
            ("poor", "case,slice,probability", lambda r: (*r[:2], r[6])),
        ):
            lines = [columns, *(",".join(map(str, part(row))) for row in rows)]
            (tmp_path / fold / name / "slices.csv").write_text("\n".join(lines) + "\n")
    return [tmp_path / fold for fold in FOLDS]


def choice(sensitivity: float = 1.0, margin: int | list[int] = 0) -> GateChoice:
    tables = {gate: f"{gate}/slices.csv" for gate in GATES}
    return GateChoice("segmenter/slices.csv", tables, margin=margin, gap=0, sensitivity=sensitivity)


def test_the_highest_threshold_that_misses_nothing(folds: list[Path]) -> None:
    chosen = {"gate": "good", "threshold": 0.4, "margin": 0}
    assert choice().choose(folds) == chosen
    assert choice().choose(folds[:1]) == {"gate": "good", "threshold": 0.6, "margin": 0}
    ids = {"inference#gate_threshold": 0.4, "inference#gate_margin": 0}
    assert choice().changes(chosen) == ids
    assert choice().changes({}) == {}
    assert choice().training(chosen) == "good"


def test_a_share_of_the_slices_may_be_missed_but_no_case(folds: list[Path]) -> None:
    """At 0.5 two of three pass, yet case b has none; in fold 0 alone one of two is enough."""
    assert choice(0.66).choose(folds)["threshold"] == 0.4
    assert choice(0.5).choose(folds[:1])["threshold"] == 0.8


def test_a_margin_counts(folds: list[Path]) -> None:
    """Two slices on each side of slice 3 bring slice 1, which has 0.6, up to a threshold of 0.8."""
    assert choice(margin=2).choose(folds[:1])["threshold"] == 0.8


def test_of_several_margins_the_one_that_stops_most(folds: list[Path]) -> None:
    """In fold 0 slices 1 and 3 hold tumour. With 0 they pass at 0.6, and 0 and 2 stop; with 1 slice
    3 brings 2 along at every threshold, and slice 1 brings 0."""
    assert choice(margin=[1, 0]).choose(folds[:1]) == {
        "gate": "good", "threshold": 0.6, "margin": 0
    }  # fmt: skip
    # half may be missed: at 0.8 slice 3 alone passes, and 2 where the margin is 1
    assert choice(0.5, margin=[1, 0]).choose(folds[:1])["margin"] == 0


def test_figures_of_the_held_out_cases(folds: list[Path], tmp_path: Path) -> None:
    summary = choice().summarise(folds, {"a": "p", "b": "q", "c": "r"}, tmp_path)
    # AUC: good ranks 0.6, 0.8, 0.4 above all of 0.1, 0.2, 0.1, 0.3, 0.05; poor 0.2, 0.3, 0.1
    assert summary["gates"] == {"good": "1.0000", "poor": "0.1000"}
    with open(tmp_path / "cross_validation.csv", encoding="utf-8") as file:
        a, b, c = csv.DictReader(file)
    assert (a["gate"], a["threshold"], b["threshold"]) == ("good", "0.4", "0.6")
    # a at 0.4: slices 1 and 3 pass: 2 * 3 / (5 + 6); without the gate 6 / (11 + 6)
    assert float(a["dice"]) == pytest.approx(6 / 11)
    assert float(a["dice_plain"]) == pytest.approx(6 / 17)
    assert (a["passed_positive"], a["positive_slices"], a["stopped_negative"]) == ("2", "2", "2")
    assert float(b["dice"]) == 0.0  # at 0.6 nothing of b passes
    assert c["dice"] == "nan"
    assert summary["dice"]["mean"]["value"] == pytest.approx((6 / 11 + 0) / 2)
    assert summary["dice"]["pooled"]["value"] == pytest.approx(6 / (5 + 6 + 5))
    assert summary["sensitivity"] == pytest.approx(2 / 3)
    assert summary["specificity"] == 1.0
    assert (summary["cases_found"], summary["cases"]) == (1, 3)


def test_what_is_measured_of_a_case(tmp_path: Path) -> None:
    true, predicted = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    true[0, :, 0, 1] = 1
    predicted[0, 0, :, 1] = 3
    overlaps = SliceOverlaps(tmp_path / "a.csv")
    overlaps.cases = [("x", overlaps.measure({"label": true, "pred": predicted}))]
    assert list(overlaps.rows()) == [("x", 0, 0, 0, 0), ("x", 1, 2, 2, 1)]
    probabilities = SliceProbabilities(tmp_path / "b.csv")
    item = {"pred": torch.tensor([[0.75, 0.1], [0.25, 0.9]])}
    probabilities.cases = [("x", probabilities.measure(item))]
    assert list(probabilities.rows()) == [("x", 0, "0.2500"), ("x", 1, "0.9000")]
