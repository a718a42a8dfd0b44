# SPDX-License-Identifier: Apache-2.0
"""All that was measured of a classifier: figures, what was chosen, thresholds, tables."""

import math
from dataclasses import replace

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.metrics.classes.calibration import fit_class_temperature
from medvol.metrics.classes.confounding import Confounding, Predicted
from medvol.metrics.classes.evaluation import (
    ClassCase,
    ClassEvaluation,
    SliceEvaluation,
    Tuned,
    tune,
)
from medvol.metrics.intervals import Estimate


def image(case: str, truth: int, *probability: float) -> ClassCase:
    return ClassCase(case, f"{case}.png", case[0], truth, np.array(probability, np.float32))


IMAGES = (image("a1", 0, 0.9, 0.1), image("a2", 1, 0.7, 0.3), image("b", 1, 0.2, 0.8))


def test_evaluation() -> None:
    error = InputError("E_EMPTY", "c.png", "0 bytes.", "Copy it.")
    found = ClassEvaluation(IMAGES, (("c", error),), ("no", "yes"))
    assert found.patients == 2
    assert found.confusion.tolist() == [[1, 0], [1, 1]]
    assert [x.case for x in found.worst_first] == ["a2", "b", "a1"]
    assert found.worst_first[0].loss == pytest.approx(-math.log(0.3))
    assert found.worst_first[0].predicted == 0
    assert found.summary["accuracy"].value == pytest.approx(2 / 3)
    assert found.classes["yes"]["recall"].value == 0.5
    assert list(found.calibration) == ["as given"]
    assert found.calibrated is None


def test_figures_are_of_the_decision() -> None:
    """With a threshold of 0.3 the second image counts as the second class, and all are right."""
    found = ClassEvaluation([replace(x, threshold=0.3) for x in IMAGES], (), ("no", "yes"))
    assert found.predicted.tolist() == [0, 1, 1]
    assert found.confusion.tolist() == [[1, 0], [0, 2]]
    assert found.summary["accuracy"].value == 1.0
    assert found.classes["yes"]["recall"].value == 1.0
    assert found.rows()[1]["predicted"] == "yes"


def test_figures_by_site() -> None:
    sites = ("A", "B", "B")
    images = tuple(replace(x, groups={"site": y}) for x, y in zip(IMAGES, sites, strict=True))
    found = ClassEvaluation(images, (), ("no", "yes"))
    a, b = found.subgroups["site"]
    assert (a.name, a.cases, a.patients, a.figures["accuracy"].value) == ("A", 1, 1, 1.0)
    assert (b.name, b.cases, b.patients, b.figures["accuracy"].value) == ("B", 2, 2, 0.5)
    assert math.isnan(b.figures["macro_auc"].value)  # both are of one class
    assert found.record()["subgroups"]["site"][1]["figures"]["accuracy"]["value"] == 0.5
    assert ClassEvaluation(IMAGES, (), ("no", "yes")).subgroups == {}


def test_a_figure_by_its_name() -> None:
    found = ClassEvaluation(IMAGES, (), ("no", "yes"))
    assert found.estimate("", "accuracy") == found.summary["accuracy"]
    assert found.estimate("yes", "recall") == found.classes["yes"]["recall"]
    assert found.estimate("maybe", "recall") is found.estimate("", "dice") is None


def test_calibration_beside_that_with_temperature() -> None:
    found = ClassEvaluation(IMAGES, (), ("no", "yes"), Tuned(2.0, 0.4, 10))
    odds = np.sqrt([9, 3 / 7, 4])  # of the true class, after the temperature
    tempered = found.calibration["with temperature"]
    assert tempered["log_loss"] == pytest.approx(-np.log(odds / (1 + odds)).mean(), rel=1e-5)
    assert found.calibration["as given"]["calibration_error"] == pytest.approx(
        (0.1 + 0.7 + 0.2) / 3
    )


def test_what_is_chosen_on_validation() -> None:
    tuned = tune(IMAGES)
    assert tuned.images == 3
    assert tuned.threshold == pytest.approx((0.3 + 0.1) / 2)  # all positives pass, no negative
    table, truth = np.stack([x.probability for x in IMAGES]), [x.truth for x in IMAGES]
    assert tuned.temperature == fit_class_temperature(table, truth)
    assert tune(IMAGES[1:]).threshold is None  # positives only
    assert tune([image("a", 2, 0.2, 0.2, 0.6)]).threshold is None  # three classes


def test_evaluation_needs_an_image() -> None:
    with pytest.raises(ValueError, match=r"^an evaluation needs one case or more$"):
        ClassEvaluation((), (), ("no", "yes"))


def test_thresholds_hold_the_chosen_one_once_and_rise() -> None:
    found = ClassEvaluation(IMAGES, (), ("no", "yes"), Tuned(1.0, 0.33, 10))
    assert [row.threshold for row in found.thresholds] == pytest.approx(
        [0.1, 0.2, 0.3, 0.33, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    )
    assert found.thresholds[3][1:] == (1, 1, 0, 1)  # 0.8 passes; 0.3 is missed, 0.1 rightly not
    for usual in (replace(found, tuned=Tuned(1.0, None, 1)), replace(found, tuned=None)):
        assert len(usual.thresholds) == 9
    three = ClassEvaluation((image("a", 2, 0.2, 0.2, 0.6),), (), ("a", "b", "c"))
    assert three.thresholds == []


def test_a_row_an_image() -> None:
    case = replace(IMAGES[1], notes=("N_X one.", "N_Y two."))
    (row,) = ClassEvaluation((case,), (), ("not ill", "ill")).rows()
    assert row == {
        "image": "a2.png", "case": "a2", "patient": "a", "truth": "ill", "predicted": "not ill",
        "probability_not_ill": pytest.approx(0.7), "probability_ill": pytest.approx(0.3),
        "loss": pytest.approx(-math.log(0.3)), "notes": "N_X one. N_Y two.",
    }  # fmt: skip
    assert type(row["probability_ill"]) is float
    with pytest.raises(ValueError, match="shorter"):
        ClassEvaluation((case,), (), ("not ill", "ill", "very ill")).rows()


def test_record() -> None:
    none = Estimate(math.nan, math.nan, math.nan, 0)
    half = Estimate(0.5, 0.25, 0.75, 4)
    confounding = Confounding((Predicted("class", "border", half, none, 0.6, 2),), 20, 4, 2, 1)
    found = ClassEvaluation(IMAGES, (), ("no", "yes"), Tuned(2.0, 0.5, 10), confounding).record()
    assert (found["class_names"], found["images"]) == (["no", "yes"], 3)
    assert found["smallest_probability_of_log_loss"] == 1e-7
    assert found["summary"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["classes"]["yes"]["recall"]["cases"] == 2
    assert found["confusion"] == {
        "rows": "truth", "columns": "predicted", "counts": [[1, 0], [1, 1]],
    }  # fmt: skip
    assert list(found["calibration"]) == ["as given", "with temperature"]
    assert found["tuned"] == {"temperature": 2.0, "threshold": 0.5, "images": 10}
    assert found["thresholds"][8] == {
        "threshold": 0.9, "found": 0, "missed": 2, "false": 0, "passed": 1, "sensitivity": 0.0,
        "specificity": 1.0, "precision": None, "negative_precision": pytest.approx(1 / 3),
    }  # fmt: skip
    assert found["confounding"] == {
        "training_images": 20, "measured_images": 4, "left_out_as_their_patient_is_measured": 2,
        "unreadable": 1,
        "predictions": [{
            "target": "class", "clue": "border", "guess": 0.6, "answers": 2,
            "accuracy": {"value": 0.5, "low": 0.25, "high": 0.75, "cases": 4, "withheld": None},
            "auc": {"value": None, "low": None, "high": None, "cases": 0, "withheld": None},
        }],
    }  # fmt: skip
    bare = ClassEvaluation(IMAGES[:1], (), ("no", "yes")).record()
    assert (bare["tuned"], bare["confounding"]) == (None, None)
    assert bare["calibration"]["as given"]["log_loss"] == pytest.approx(-math.log(0.9))


def test_words_for_what_was_measured() -> None:
    images, slices = (kind(IMAGES, (), ("a", "b")) for kind in (ClassEvaluation, SliceEvaluation))
    assert (images.noun, images.source) == ("image", "")
    assert (slices.noun, slices.source) == ("slice", "volume")
