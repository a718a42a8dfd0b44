# SPDX-License-Identifier: Apache-2.0
"""What thresholds do, counted by hand."""

import math

import pytest

from medvol.metrics.thresholds import USUAL, best_threshold, threshold_rows

PROBABILITY = [0.05, 0.2, 0.5, 0.4, 0.6, 0.95]
TRUTH = [0, 0, 0, 1, 1, 1]


def test_rows() -> None:
    low, half, high = threshold_rows(PROBABILITY, TRUTH, [0.0, 0.5, 0.99])
    assert low[1:] == (3, 0, 3, 0)
    assert half == (0.5, 2, 1, 1, 2)
    assert (half.sensitivity, half.specificity) == pytest.approx((2 / 3, 2 / 3))
    assert (half.precision, half.negative_precision) == pytest.approx((2 / 3, 2 / 3))
    assert (high.sensitivity, high.specificity) == (0, 1)
    assert math.isnan(high.precision)
    assert math.isnan(low.negative_precision)
    assert [row.threshold for row in threshold_rows(PROBABILITY, TRUTH)] == list(USUAL)


def test_one_class_only() -> None:
    (row,) = threshold_rows([0.2, 0.7], [1, 1], [0.5])
    assert row.sensitivity == 0.5
    assert math.isnan(row.specificity)
    assert math.isnan(best_threshold([0.2, 0.7], [1, 1]))


@pytest.mark.parametrize(
    ("probability", "truth", "best"),
    [
        (PROBABILITY, TRUTH, (0.6 + 0.5) / 2),  # 2/3 found, none false; at 0.4 all, and 1/3 false
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5),
        ([0.4, 0.4, 0.4], [0, 1, 1], 0.2),  # every threshold is as bad: all pass
        ([0.9, 0.1], [0, 1], 0.05),  # upside down: all pass
    ],
)
def test_best(probability: list[float], truth: list[int], best: float) -> None:
    assert best_threshold(probability, truth) == pytest.approx(best)
