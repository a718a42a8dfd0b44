# SPDX-License-Identifier: Apache-2.0
"""Curves and areas, against points made by hand."""

import numpy as np
import pytest

from medvol.metrics.bootstrap import draw_patients
from medvol.metrics.classification import roc_auc
from medvol.metrics.ranking import (
    GRID,
    precision_band,
    precision_recall_curve,
    roc_band,
    roc_curve,
    weighted_auc,
    weighted_average_precision,
)

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


def test_one_class_has_no_band() -> None:
    draws = draw_patients(["a", "b"], resamples=4)
    assert np.isnan(roc_band([0.1, 0.2], [1, 1], draws).low).all()
    assert np.isnan(precision_band([0.1, 0.2], [0, 0], draws).high).all()


@pytest.mark.parametrize(("score", "truth"), [([0.1], [0, 1]), ([], []), ([0.1], [2])])
def test_refusals(score: list[float], truth: list[int]) -> None:
    with pytest.raises(ValueError, match="give"):
        roc_curve(score, truth)
