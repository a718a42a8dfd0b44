# SPDX-License-Identifier: Apache-2.0
"""Figures of a classifier with their intervals, by hand."""

import math

import numpy as np
import pytest

from medvol.metrics.classes.figures import all_figures, class_figures
from medvol.metrics.intervals import draw_patients

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
    # a third of the resamples leave out the 0.6 that the 0.5 loses to
    assert first["auc"].low < 5 / 6 < first["auc"].high == 1
    assert first["average_precision"].low < 5 / 6 < first["average_precision"].high == 1
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
    for name in ("macro_auc", "macro_average_precision"):
        assert found[name].low < found[name].value < found[name].high == 1


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
