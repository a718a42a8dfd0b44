# SPDX-License-Identifier: Apache-2.0
"""Curves and areas, against points made by hand."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_roc_auc

from medvol.metrics.classes.ranking import (
    GRID,
    USUAL,
    best_threshold,
    precision_band,
    precision_recall_curve,
    roc_auc,
    roc_band,
    roc_curve,
    threshold_rows,
    weighted_auc,
    weighted_average_precision,
)
from medvol.metrics.intervals import draw_patients

SCORE, TRUTH = [0.9, 0.7, 0.7, 0.2, 0.1], [1, 1, 0, 0, 1]  # the two of 0.7 pass together
ONCE = np.ones((1, 5))


def test_roc_points() -> None:
    curve = roc_curve(SCORE, TRUTH)
    assert curve.x.tolist() == [0, 0, 0.5, 1, 1]
    assert curve.y.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])
    assert curve.threshold.tolist() == [np.inf, 0.9, 0.7, 0.2, 0.1]


def test_precision_recall_points() -> None:
    curve = precision_recall_curve(SCORE, TRUTH)
    assert curve.x.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])
    assert curve.y.tolist() == pytest.approx([1, 2 / 3, 1 / 2, 3 / 5])
    assert curve.threshold.tolist() == [0.9, 0.7, 0.2, 0.1]


def test_areas() -> None:
    # pairs won: 0.9 two; 0.7 one and a half; 0.1 none: 3.5 of 6
    assert weighted_auc(SCORE, TRUTH, ONCE).tolist() == pytest.approx([3.5 / 6])
    average = (1 + 2 / 3 + 3 / 5) / 3
    assert weighted_average_precision(SCORE, TRUTH, ONCE).tolist() == pytest.approx([average])


def test_weights_count_cases_as_often() -> None:
    weights = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 3, 1], [0, 0, 1, 1, 0]])
    repeated = [np.repeat(SCORE, w) for w in weights], [np.repeat(TRUTH, w) for w in weights]
    expected = [roc_auc(score, truth) for score, truth in zip(*repeated, strict=True)]
    assert weighted_auc(SCORE, TRUTH, weights).tolist() == pytest.approx(expected, nan_ok=True)
    assert np.isnan(expected[2])  # no positive was drawn
    averages = weighted_average_precision(SCORE, TRUTH, weights)
    alone = weighted_average_precision(repeated[0][1], repeated[1][1], np.ones((1, 7)))
    assert averages[1] == pytest.approx(alone[0])
    assert np.isnan(averages[2])
    without_the_first = weighted_average_precision(SCORE, TRUTH, np.array([[0, 1, 1, 1, 1]]))
    assert without_the_first.tolist() == pytest.approx([(1 / 2 + 2 / 4) / 2])


def test_bands_hold_the_curve_and_have_no_width_without_doubt() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(200) % 2
    draws = draw_patients([str(n) for n in range(200)], resamples=300)
    score = random.normal(truth, 1.0)
    band, curve = roc_band(score, truth, draws), roc_curve(score, truth)
    at = np.searchsorted(curve.x, GRID, side="right") - 1
    assert (band.low <= curve.y[at] + 1e-9).mean() > 0.95
    assert (curve.y[at] <= band.high + 1e-9).mean() > 0.95
    assert 0.05 < (band.high - band.low)[10:50].mean() < 0.4  # 1.96 * sqrt(p q / 100) * 2: 0.2
    for perfect in (roc_band(truth, truth, draws), precision_band(truth, truth, draws)):
        assert perfect.low.tolist() == perfect.high.tolist() == [1.0] * len(GRID)


def test_precision_band_begins_at_the_first_positive() -> None:
    band = precision_band(SCORE, TRUTH, ONCE)
    # the first third needs 0.9 alone, the second both of 0.7, the last all
    assert band.low[[0, 33, 34, 66, 67, 100]].tolist() == pytest.approx(
        [1, 1, 2 / 3, 2 / 3, 3 / 5, 3 / 5]
    )
    assert band.x.tolist() == GRID.tolist()
    # 0.9 twice gives two thirds of the positives; the last needs 3 positives of 7 that pass
    twice = precision_band(SCORE, TRUTH, np.array([[2, 0, 1, 3, 1]]))
    assert twice.low[[0, 66, 67, 100]].tolist() == pytest.approx([1, 1, 3 / 7, 3 / 7])
    alike = precision_band([0.5, 0.5], [0, 1], np.ones((1, 2)))
    assert alike.low.tolist() == alike.high.tolist() == [0.5] * len(GRID)


def test_roc_band_takes_what_each_rate_allows() -> None:
    # no negative passes with 0.9, half of them with 0.7, all of them with 0.1
    band = roc_band(SCORE, TRUTH, ONCE)
    assert band.high[[0, 49, 50, 99, 100]].tolist() == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3, 1]
    )


def test_one_class_has_no_band() -> None:
    draws = draw_patients(["a", "b"], resamples=4)
    none = roc_band([0.1, 0.2], [1, 1], draws)
    assert np.isnan(none.low).all()
    assert none.x.tolist() == GRID.tolist()
    assert np.isnan(precision_band([0.1, 0.2], [0, 0], draws).high).all()


@pytest.mark.parametrize(
    ("score", "truth", "words"),
    [
        ([0.1], [0, 1], r"^\(1,\) scores and \(2,\) truths; give \(N,\) of both$"),
        ([], [], "^there are no scores; give one or more$"),
        ([0.1], [2], "^the truth holds other values than 0 and 1; give 1 for a positive$"),
    ],
)
def test_refusals(score: list[float], truth: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        roc_curve(score, truth)


PROBABILITY = [0.05, 0.2, 0.5, 0.4, 0.6, 0.95]
SIX = [0, 0, 0, 1, 1, 1]


def test_rows() -> None:
    low, half, high = threshold_rows(PROBABILITY, SIX, [0.0, 0.5, 0.99])
    assert low[1:] == (3, 0, 3, 0)
    assert half == (0.5, 2, 1, 1, 2)
    assert (half.sensitivity, half.specificity) == pytest.approx((2 / 3, 2 / 3))
    assert (half.precision, half.negative_precision) == pytest.approx((2 / 3, 2 / 3))
    assert (high.sensitivity, high.specificity) == (0, 1)
    assert math.isnan(high.precision)
    assert math.isnan(low.negative_precision)
    assert [row.threshold for row in threshold_rows(PROBABILITY, SIX)] == list(USUAL)


def test_one_class_only() -> None:
    (row,) = threshold_rows([0.2, 0.7], [1, 1], [0.5])
    assert row.sensitivity == 0.5
    assert math.isnan(row.specificity)
    assert math.isnan(best_threshold([0.2, 0.7], [1, 1]))


@pytest.mark.parametrize(
    ("probability", "truth", "best"),
    [
        (PROBABILITY, SIX, (0.6 + 0.5) / 2),  # 2/3 found, none false; at 0.4 all, and 1/3 false
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5),
        ([0.4, 0.4, 0.4], [0, 1, 1], 0.2),  # every threshold is as bad: all pass
        ([0.9, 0.1], [0, 1], 0.05),  # upside down: all pass
        ([0.9, 0.9, 0.8, 0.1], [1, 1, 1, 0], 0.45),  # two thirds at 0.9, all at 0.8
    ],
)
def test_best(probability: list[float], truth: list[int], best: float) -> None:
    assert best_threshold(probability, truth) == pytest.approx(best)


@pytest.mark.parametrize(
    ("probability", "truth", "auc"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5),  # ties count half
        ([0.3, 0.3, 0.7], [0, 1, 1], 0.75),  # one tie, one win
        ([-7.0, 3.0, 200.0], [0, 1, 0], 0.5),  # any score
    ],
)
def test_auc_by_hand(probability: list[float], truth: list[int], auc: float) -> None:
    assert roc_auc(probability, truth) == pytest.approx(auc)


def test_scores_are_ranked_as_numbers_whatever_their_type() -> None:
    assert roc_auc(np.array([0, 1, 2], np.uint8), [0, 1, 1]) == 1.0
    assert roc_auc([False, True, True], [0, 1, 1]) == 1.0


def test_auc_is_that_of_monai() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 200)
    score = np.round(random.normal(truth, 1.0), 1)  # with ties
    expected = float(compute_roc_auc(torch.from_numpy(score), torch.from_numpy(truth)))
    assert roc_auc(score, truth) == pytest.approx(expected)
    assert 0.6 < expected < 0.9


def test_one_class_has_no_auc() -> None:
    assert math.isnan(roc_auc([0.1, 0.9], [1, 1]))
    assert math.isnan(roc_auc([], []))


def test_at_a_threshold() -> None:
    probability, truth = [0.1, 0.5, 0.6, 0.4, 0.5, 0.9], [0, 0, 0, 1, 1, 1]
    rates = [(row.sensitivity, row.specificity)
             for row in threshold_rows(probability, truth, [0.5, 0.0, 1.0])]  # fmt: skip
    assert rates == pytest.approx(np.array([(2 / 3, 1 / 3), (1.0, 0.0), (0.0, 1.0)]))
    (row,) = threshold_rows([0.1, 0.7], [0, 0], [0.5])
    assert math.isnan(row.sensitivity)
    assert row.specificity == 0.5
