# SPDX-License-Identifier: Apache-2.0
"""What was measured on a set of cases: the worst first, patients counted."""

import math

import pytest

from medvol.metrics.comparison import Measure, RegionFigures
from medvol.metrics.evaluation import CaseFigures, Evaluation


def case(name: str, both: int, predicted: int, true: int, *, patient: str = "") -> CaseFigures:
    lesion = RegionFigures(both, predicted, true, 0.1, 0.5, 1.0, None)
    organ = RegionFigures(10, 10, 10, 0.1, 1.0, 0.0, None)
    return CaseFigures(name, patient or name, None, {"lesion": lesion, "organ": organ})


CASES = (
    case("good", 9, 10, 10),
    case("nothing there", 0, 0, 0),
    case("poor", 4, 10, 10, patient="p"),
    case("a little false", 0, 1, 0),
    case("much false", 0, 50, 0, patient="p"),
)


def test_worst_first_by_the_first_region() -> None:
    names = [c.case for c in Evaluation(CASES, (), Measure()).worst_first]
    assert names == ["much false", "a little false", "poor", "good", "nothing there"]


def test_summary_is_of_every_region_over_patients() -> None:
    evaluation = Evaluation(CASES, (), Measure())
    assert evaluation.regions == ("lesion", "organ")
    assert evaluation.patients == 4
    pooled = evaluation.summary["lesion"]["dice_pooled"]
    assert pooled.value == pytest.approx(2 * 13 / 91)
    assert pooled.low < pooled.value < pooled.high
    assert evaluation.summary["organ"]["dice_mean"][:3] == (1.0, 1.0, 1.0)


def test_one_patient_has_no_interval() -> None:
    evaluation = Evaluation((CASES[2], CASES[4]), (), Measure())
    assert evaluation.patients == 1
    assert math.isnan(evaluation.summary["lesion"]["dice_pooled"].low)


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match="one case or more"):
        Evaluation((), (), Measure())
