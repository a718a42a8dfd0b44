# SPDX-License-Identifier: Apache-2.0
"""Figures of probabilities, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_roc_auc

from medvol.metrics.classification import (
    Bin,
    auc_interval,
    expected_calibration_error,
    fit_platt,
    reliability,
    roc_auc,
    sensitivity_specificity,
)


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
    assert all(math.isnan(x) for x in auc_interval([0.1, 0.9], [0, 0]))


def test_interval_holds_the_value_and_narrows_with_cases() -> None:
    random = np.random.default_rng(1)
    widths = []
    for cases in (40, 400):
        truth = np.arange(cases) % 2
        score = random.normal(truth, 1.0)
        value, low, high = auc_interval(score, truth, resamples=500)
        assert value == roc_auc(score, truth)
        assert low < value < high
        widths.append(high - low)
    # the standard error falls with the root of the cases: 3.2 times
    assert 2 < widths[0] / widths[1] < 5


def test_interval_is_drawn_within_volumes() -> None:
    """Two volumes, in each of which all positives have one score and all negatives another."""
    probability = [0.9, 0.9, 0.6, 0.6, 0.4, 0.4, 0.1, 0.1]
    truth = [1, 1, 0, 0, 1, 1, 0, 0]
    volumes = ["a"] * 4 + ["b"] * 4
    value, low, high = auc_interval(probability, truth, volumes, resamples=200)
    assert value == low == high == pytest.approx(0.75)  # numbers of each kind never change
    _, low, high = auc_interval(probability, truth, resamples=200)
    assert low < 0.75 < high


def test_the_same_seed_gives_the_same_interval() -> None:
    score, truth = np.random.default_rng(2).random(30), np.arange(30) % 3 == 0
    assert auc_interval(score, truth, seed=4) == auc_interval(score, truth, seed=4)
    assert auc_interval(score, truth, seed=4) != auc_interval(score, truth, seed=5)


def test_at_a_threshold() -> None:
    probability, truth = [0.1, 0.5, 0.6, 0.4, 0.5, 0.9], [0, 0, 0, 1, 1, 1]
    assert sensitivity_specificity(probability, truth, 0.5) == pytest.approx((2 / 3, 1 / 3))
    assert sensitivity_specificity(probability, truth, 0.0) == (1.0, 0.0)
    assert sensitivity_specificity(probability, truth, 1.0) == (0.0, 1.0)
    sensitivity, specificity = sensitivity_specificity([0.1, 0.7], [0, 0], 0.5)
    assert math.isnan(sensitivity)
    assert specificity == 0.5


def test_reliability_by_hand() -> None:
    probability, truth = [0.0, 0.1, 0.25, 0.55, 0.65, 1.0], [0, 0, 1, 0, 1, 1]
    rows = reliability(probability, truth, bins=4)
    assert rows == [
        Bin(2, pytest.approx(0.05), 0.0),
        Bin(1, 0.25, 1.0),  # a border belongs to the bin above it
        Bin(2, pytest.approx(0.6), 0.5),
        Bin(1, 1.0, 1.0),  # and 1 to the last
    ]
    expected = (2 * 0.05 + 1 * 0.75 + 2 * 0.1 + 0) / 6
    assert expected_calibration_error(probability, truth, bins=4) == pytest.approx(expected)


def test_perfect_and_worst_calibration() -> None:
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1
    assert math.isnan(expected_calibration_error([], []))


def test_platt_scaling_finds_slope_and_offset() -> None:
    """At score 0 two of four are positive, at score 3 all of six: 8 positives, 2 negatives.

    Positives aim at 9/10 and negatives at 1/4, so the means are 0.575 and 0.9.
    """
    scores = [0.0] * 4 + [3.0] * 6
    slope, offset = fit_platt(scores, [0, 0, 1, 1] + [1] * 6)
    assert offset == pytest.approx(np.log(0.575 / 0.425), rel=1e-3)
    assert offset + 3 * slope == pytest.approx(np.log(9), rel=1e-3)


def test_calibrating_keeps_the_ranking_and_lowers_the_error() -> None:
    random = np.random.default_rng(3)
    odds = random.normal(0, 1.5, 2000)
    truth = random.random(2000) < 1 / (1 + np.exp(-odds))
    too_sure = 4 * odds
    slope, offset = fit_platt(too_sure, truth)
    assert slope == pytest.approx(1 / 4, rel=0.1)
    assert offset == pytest.approx(0, abs=0.15)
    before, after = (1 / (1 + np.exp(-s)) for s in (too_sure, slope * too_sure + offset))
    assert roc_auc(before, truth) == roc_auc(after, truth)
    assert expected_calibration_error(after, truth) < 0.04 < 0.1
    assert expected_calibration_error(before, truth) > 0.1


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) probabilities and \(3,\) truths; give \(N,\)"):
        roc_auc([0.1, 0.2], [0, 1, 1])
    with pytest.raises(ValueError, match="other values than 0 and 1"):
        roc_auc([0.1, 0.2], [0, 2])
    with pytest.raises(ValueError, match="one class only"):
        fit_platt([0.1, 0.2], [1, 1])
