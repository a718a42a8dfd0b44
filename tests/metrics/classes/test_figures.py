# SPDX-License-Identifier: Apache-2.0
"""Figures of a classifier with their intervals, by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, t

from medvol.metrics.classes.figures import all_figures, class_figures, ranking_estimate
from medvol.metrics.intervals import leave_out

TABLE = np.array(
    [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]
)
TRUTH = np.array(
    [0, 0, 1, 1, 1]
)  # the last is taken for 0; class 2 neither occurs nor is predicted
ALONE = leave_out("abcde")
MANY = np.tile(np.arange(5), 8)  # the same five, of eight patients each


def test_figures_of_each_class() -> None:
    first, second, third = class_figures(TABLE, TRUTH, ALONE)
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
    assert third["specificity"].value == 1
    for name in ("precision", "recall", "f1", "auc", "average_precision"):
        assert math.isnan(third[name].value), name
        assert math.isnan(third[name].low), name


def test_figures_of_all_classes() -> None:
    found = all_figures(TABLE, TRUTH, ALONE)
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
    assert found["accuracy"][1:3] == pytest.approx(binomtest(4, 5).proportion_ci(method="exact"))


def test_intervals_of_figures_hold_them_and_show_how_many_they_are_of() -> None:
    left_out = leave_out([f"{n}" for n in range(40)])
    first, second, third = class_figures(TABLE[MANY], TRUTH[MANY], left_out)
    found = [*all_figures(TABLE[MANY], TRUTH[MANY], left_out).values(), *first.values()]
    assert all(x.low < x.value <= x.high and not x.withheld for x in found)
    assert first["recall"][1:3] == pytest.approx(binomtest(16, 16).proportion_ci(method="exact"))
    assert second["recall"][1:3] == pytest.approx(binomtest(16, 24).proportion_ci(method="exact"))
    assert third["specificity"].value == third["specificity"].high == 1
    for name in ("precision", "recall", "f1", "auc", "average_precision"):
        assert math.isnan(third[name].low), name


def test_auc_has_delongs_standard_error() -> None:
    """Hanley and McNeil's 109 readings (1982), AUC 0.893; the error from how each reading ranks."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]  # readings of each of five grades
    score = np.repeat([1, 2, 3, 4, 5] * 2, normal + abnormal)
    truth = np.repeat([0, 1], [58, 51])
    left_out = leave_out([f"{n}" for n in range(109)])
    value, low, high, cases, _ = ranking_estimate("auc", score, truth, left_out)
    assert (value, cases) == (pytest.approx(0.893, abs=5e-4), 109)
    wins = np.sign(score[58:, None] - score[None, :58]) / 2 + 0.5  # abnormal above normal
    expected = math.sqrt(wins.mean(1).var(ddof=1) / 51 + wins.mean(0).var(ddof=1) / 58)
    assert expected == pytest.approx(0.031, abs=5e-4)
    patients = 4 / (1 / 58 + 1 / 51)
    quantile = t.ppf(0.975, (patients - 1) / 2)
    for end in (low, high):
        error = abs(value - end) / quantile * math.sqrt(value * (1 - value) / (end * (1 - end)))
        assert error == pytest.approx(expected, rel=0.01)


def test_images_of_one_person_have_no_interval() -> None:
    found = all_figures(TABLE, TRUTH, leave_out("aaaaa")).values()
    assert all(math.isnan(x.low) and x.withheld for x in found)


def test_patients_are_left_out_not_images() -> None:
    twice = np.repeat(np.arange(5), 2)  # the same five, two images each
    alike = all_figures(TABLE[twice], TRUTH[twice], leave_out("aabbccddee"))
    alone = all_figures(TABLE, TRUTH, ALONE)
    assert alike["accuracy"][:3] == pytest.approx(alone["accuracy"][:3])
    many = all_figures(TABLE[twice], TRUTH[twice], leave_out("abcdefghij"))
    assert many["accuracy"].low > alone["accuracy"].low
