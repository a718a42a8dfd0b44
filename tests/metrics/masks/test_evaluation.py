# SPDX-License-Identifier: Apache-2.0
"""What was measured on a set of cases: the worst first, patients counted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medvol.metrics.intervals import leave_out
from medvol.metrics.masks.comparison import EMPTY_RULE, LesionCounts, Measure, RegionFigures
from medvol.metrics.masks.evaluation import (
    MEDIANS,
    RATIOS,
    MaskCase,
    MaskEvaluation,
    summarise_region,
)
from medvol.metrics.masks.lesion_matching import MatchedLesion
from medvol.metrics.masks.overlap import summarise

NAN = math.nan


def case(name: str, both: int, predicted: int, true: int, *, patient: str = "") -> MaskCase:
    lesion = RegionFigures(both, predicted, true, 0.1, 0.5, 1.0, None)
    organ = RegionFigures(10, 10, 10, 0.1, 1.0, 0.0, None)
    return MaskCase(name, patient or name, None, {"lesion": lesion, "organ": organ})


CASES = (
    case("good", 9, 10, 10),
    case("nothing there", 0, 0, 0),
    case("poor", 4, 10, 10, patient="p"),
    case("a little false", 0, 1, 0),
    case("much false", 0, 50, 0, patient="p"),
)


def test_worst_first_by_the_first_region() -> None:
    names = [c.case for c in MaskEvaluation(CASES, (), Measure()).worst_first]
    assert names == ["much false", "a little false", "poor", "good", "nothing there"]


def test_cases_whose_truth_has_a_region() -> None:
    found = MaskEvaluation((*CASES, case("one voxel", 0, 0, 1)), (), Measure())
    assert (found.cases_with("lesion"), found.cases_with("organ")) == (3, 6)


def test_summary_is_of_every_region_over_patients() -> None:
    others = [replace(one, case=f"{one.case} too", patient=one.case) for one in CASES]
    evaluation = MaskEvaluation((*CASES, *others), (), Measure())
    assert evaluation.regions == ("lesion", "organ")
    assert evaluation.patients == 6
    pooled = evaluation.summary["lesion"]["dice_pooled"]
    assert pooled.value == pytest.approx(2 * 13 / 91)
    assert pooled.low < pooled.value < pooled.high
    organ = evaluation.summary["organ"]["dice_mean"]
    assert (organ.value, organ.high) == (1, 1)  # six of six are right, but not for sure
    assert 0 < organ.low < 0.7


def test_one_patient_has_no_interval() -> None:
    evaluation = MaskEvaluation((CASES[2], CASES[4]), (), Measure())
    assert evaluation.patients == 1
    assert math.isnan(evaluation.summary["lesion"]["dice_pooled"].low)


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match="one case or more"):
        MaskEvaluation((), (), Measure())


def test_rows_and_record() -> None:
    lesions = RegionFigures(40, 50, 60, 0.1, 0.75, 4.0, LesionCounts(4, 3, 5, 2))
    first = MaskCase("a", "p", 0, {"lesion": lesions}, 1.23456, ("N_X thick.",), {"site": "A"})
    second = MaskCase("b", "p", None, {"lesion": RegionFigures(0, 0, 0, 0.1, NAN, NAN, None)})
    found = MaskEvaluation((first, second), (), Measure(2.5, 0.2))
    rows = found.rows()
    assert rows[0] == {"case": "a", "patient": "p", "fold": 0, "region": "lesion"} | lesions.row()
    assert rows[0]["dice"] == pytest.approx(80 / 110)
    assert rows[1]["fold"] is None
    assert rows[1]["dice"] is None
    record = found.record()
    assert (record["tolerance_mm"], record["smallest_lesion_ml"]) == (2.5, 0.2)
    assert record["empty_masks"] == EMPTY_RULE
    assert record["summary"]["lesion"]["dice_pooled"] == {
        "value": pytest.approx(80 / 110), "low": None, "high": None, "cases": 2,
        "withheld": "of fewer than 5 patients",
    }  # fmt: skip
    assert record["cases"][0] == {
        "case": "a", "patient": "p", "fold": 0, "groups": {"site": "A"}, "seconds": 1.235,
        "notes": ["N_X thick."], "regions": {"lesion": lesions.row()},
    }  # fmt: skip
    assert record["cases"][1]["seconds"] is None
    assert (found.noun, found.source) == ("case", "")


def with_lesions(*lesions: MatchedLesion, **groups: str) -> MaskCase:
    figures = RegionFigures(4, 5, 6, 0.05, 0.5, 1.0, LesionCounts(0, 0, 0, 0), lesions)
    return MaskCase("a", "p", None, {"lesion": figures}, groups=groups)


def test_a_line_each_lesion() -> None:
    found = MatchedLesion(True, 40, 10, 2, (1.0, 2.0, 3.0))
    evaluation = MaskEvaluation(
        (with_lesions(found, MatchedLesion(False, 1, 0, 0, (4.0, 5.0, 6.0))),), (), Measure()
    )
    rows = evaluation.lesion_rows()
    assert rows[0] == {
        "case": "a", "patient": "p", "region": "lesion", "mask": "truth", "outcome": "found",
        "size": "1 to 10 ml", "volume_ml": 2.0, "shared_percent": 25.0, "partners": 2,
        "x_mm": 1.0, "y_mm": 2.0, "z_mm": 3.0,
    }  # fmt: skip
    assert [rows[1][key] for key in ("mask", "outcome", "size")] == [
        "prediction", "false", "< 0.1 ml",
    ]  # fmt: skip
    sizes = {row["size"]: row for row in evaluation.record()["lesions_by_size"]["lesion"]}
    assert (sizes["1 to 10 ml"]["true"], sizes["1 to 10 ml"]["found"]) == (1, 1)
    assert sizes["< 0.1 ml"]["false"] == 1


def test_figures_by_scanner_and_not_by_what_all_cases_share() -> None:
    cases = tuple(
        replace(x, groups={"scanner": scanner, "source": "one"} if scanner else {"source": "one"})
        for x, scanner in zip(CASES, ["B", "A", "B", "A", ""], strict=True)
    )
    found = MaskEvaluation(cases, (), Measure()).subgroups
    assert list(found) == ["scanner"]
    a, b, rest = found["scanner"]
    assert [(x.name, x.cases, x.patients) for x in (a, b, rest)] == [
        ("A", 2, 2), ("B", 2, 2), ("not said", 1, 1),
    ]  # fmt: skip
    assert b.figures["dice_pooled"].value == pytest.approx(2 * 13 / 40)
    assert b.figures["dice_mean"].value == pytest.approx(0.65)
    assert a.figures["dice_mean"].cases == 0  # nothing was there
    assert found["scanner"][1].record()["figures"]["dice_mean"]["cases"] == 2


def test_a_figure_by_its_name() -> None:
    found = MaskEvaluation(CASES, (), Measure())
    assert found.estimate("lesion", "dice_mean") == found.summary["lesion"]["dice_mean"]
    assert found.estimate("liver", "dice_mean") is found.estimate("lesion", "auc") is None


def test_volumes_of_all_cases() -> None:
    found = MaskEvaluation(CASES, (), Measure()).volumes["lesion"]
    assert found.true_ml.tolist() == pytest.approx([1, 0, 1, 0, 0])
    assert found.predicted_ml.tolist() == pytest.approx([1, 0, 1, 0.1, 5])


LESIONS = [  # found in part; false marks where nothing is; nothing at all; missed as a whole
    RegionFigures(40, 50, 60, 0.1, 0.75, 4.0, LesionCounts(4, 3, 5, 2)),
    RegionFigures(0, 10, 0, 0.1, 0.0, NAN, LesionCounts(0, 0, 2, 2)),
    RegionFigures(0, 0, 0, 0.1, NAN, NAN, LesionCounts(0, 0, 0, 0)),
    RegionFigures(0, 0, 30, 0.1, 0.0, NAN, LesionCounts(1, 0, 0, 0)),
]
LEFT_OUT = leave_out(["a", "a", "b", "c"])


def test_each_figure_by_hand() -> None:
    found = summarise_region(LESIONS, LEFT_OUT)
    assert list(found) == [*RATIOS, *MEDIANS]
    expected = {
        "dice_pooled": (80 / 150, 4),  # 2 * 40 / (60 + 90)
        "dice_mean": ((80 / 110 + 0) / 2, 2),  # of the cases with truth
        "surface_dice_mean": (0.75 / 2, 2),
        "hd95_mm_mean": (4.0, 1),
        "lesion_sensitivity": (3 / 5, 4),
        "false_lesions_per_case": (4 / 4, 4),
        "volume_error_ml_mean": ((-1 + 1 + 0 - 3) / 4, 4),
        "absolute_volume_error_ml_mean": ((1 + 1 + 0 + 3) / 4, 4),
        "dice_median": (40 / 110, 2),  # between 80 / 110 and 0
        "volume_error_ml_median": (-0.5, 4),
        "absolute_volume_error_ml_median": (1, 4),
    }
    for name, (value, cases) in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].cases == cases, name
    assert all(math.isnan(x.low) and x.withheld for x in found.values())  # of three patients


def test_intervals_of_each_figure() -> None:
    """Ten patients with each of the four; only means of ml have no interval."""
    found = summarise_region(LESIONS * 10, leave_out([f"{n}" for n in range(40)]))
    without = {name for name, estimate in found.items() if estimate.withheld}
    assert without == {"volume_error_ml_mean", "absolute_volume_error_ml_mean"}
    assert found["volume_error_ml_mean"].withheld == "a few large volumes decide it"
    for name in set(found) - without - {"hd95_mm_mean", "absolute_volume_error_ml_median"}:
        assert found[name].low < found[name].value < found[name].high, name
    assert found["hd95_mm_mean"][:3] == pytest.approx((4, 4, 4))  # all are alike
    assert found["false_lesions_per_case"].high > 1
    assert found["volume_error_ml_median"].low < 0


def test_dice_is_that_of_the_training_time_evaluation() -> None:
    counts = [[c.voxels_both, c.voxels_predicted, c.voxels_true] for c in LESIONS]
    pooled, mean = summarise(torch.tensor(counts, dtype=torch.float64)[:, None])
    found = summarise_region(LESIONS, LEFT_OUT)
    assert found["dice_pooled"].value == pytest.approx(float(pooled))
    assert found["dice_mean"].value == pytest.approx(float(mean))


def test_an_organ_has_no_lesion_figures() -> None:
    organ = [RegionFigures(9, 10, 10, 0.1, 1.0, 1.0, None)] * 2
    found = summarise_region(organ, leave_out(["a", "b"]))
    assert found["lesion_sensitivity"].cases == found["false_lesions_per_case"].cases == 0
    assert np.isnan(found["lesion_sensitivity"].value)
    assert found["dice_pooled"].value == pytest.approx(0.9)
