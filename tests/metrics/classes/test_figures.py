# SPDX-License-Identifier: Apache-2.0
"""Figures of a classifier with their intervals, and all of an evaluation."""

import math

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.metrics.classes.calibration import fit_class_temperature
from medvol.metrics.classes.evaluation import ClassCase, ClassEvaluation, Tuned, tune
from medvol.metrics.classes.figures import all_figures, class_figures
from medvol.metrics.intervals import draw_patients, resampled_estimate

TABLE = np.array(
    [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]
)
TRUTH = np.array(
    [0, 0, 1, 1, 1]
)  # the last is taken for 0; class 2 neither occurs nor is predicted
DRAWS = draw_patients(list("abcde"), resamples=400)


def test_figures_of_each_class() -> None:
    first, second, third = class_figures(TABLE, TRUTH, DRAWS)
    values = {name: figure.value for name, figure in first.items()}
    assert values == pytest.approx(
        # of 6 pairs of scores 0.8 and 0.5 against 0.3, 0.2, 0.6 one is lost; precision at the two
        # steps of recall: 1 and 2/3
        {"precision": 2 / 3, "recall": 1, "specificity": 2 / 3, "f1": 0.8, "auc": 5 / 6,
         "average_precision": (1 + 2 / 3) / 2}
    )  # fmt: skip
    assert [first[name].cases for name in ("precision", "recall", "specificity", "f1", "auc")] == [
        3, 2, 3, 3, 5,
    ]  # fmt: skip
    assert second["recall"].value == pytest.approx(2 / 3)
    assert second["recall"].low < 2 / 3 < second["recall"].high
    assert first["recall"][:3] == (1, 1, 1)
    assert third["specificity"].value == 1
    for name in ("precision", "recall", "f1", "auc", "average_precision"):
        assert math.isnan(third[name].value), name
        assert math.isnan(third[name].low), name


def test_figures_of_all_classes() -> None:
    found = all_figures(TABLE, TRUTH, DRAWS)
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(
        {
            "accuracy": 0.8,
            "log_loss": -np.log([0.8, 0.5, 0.6, 0.7, 0.3]).mean(),
            "macro_recall": (1 + 2 / 3) / 2,
            "macro_precision": (2 / 3 + 1) / 2,
            "macro_f1": 0.8,
            "macro_specificity": (2 / 3 + 1) / 2,
            "macro_auc": (5 / 6 + 5 / 6) / 2,  # of class 1: 0.6, 0.7 above both, 0.3 above 0.1
            "macro_average_precision": (5 / 6 + (1 + 1 + 3 / 4) / 3) / 2,
        }
    )
    assert all(x.low <= x.value <= x.high for x in found.values())


def test_images_of_one_person_have_no_interval() -> None:
    draws = draw_patients(["a"] * 5, resamples=20)
    assert all(math.isnan(x.low) for x in all_figures(TABLE, TRUTH, draws).values())


def test_patients_are_drawn_not_images() -> None:
    twice = np.repeat(np.arange(5), 2)  # the same five, two images each
    patients = [f"p{n}" for n in twice]
    alike = all_figures(TABLE[twice], TRUTH[twice], draw_patients(patients, resamples=400))
    alone = all_figures(TABLE, TRUTH, DRAWS)
    assert alike["accuracy"][:3] == alone["accuracy"][:3]
    many = all_figures(TABLE[twice], TRUTH[twice], draw_patients(list("abcdefghij"), resamples=400))
    assert many["accuracy"].low > alone["accuracy"].low


def test_resampled_estimate_leaves_out_what_is_not_defined() -> None:
    resampled = np.where(DRAWS[:, 0] == 0, np.nan, DRAWS[:, 0].clip(0, 2).astype(float))
    estimate = resampled_estimate(1.0, resampled, DRAWS)
    assert estimate == (1.0, 1.0, 2.0, 5)
    assert math.isnan(resampled_estimate(math.nan, resampled, DRAWS).low)


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
    with pytest.raises(ValueError, match="one case or more"):
        ClassEvaluation((), (), ("no", "yes"))
