# SPDX-License-Identifier: Apache-2.0
"""Bias and limits of agreement of volumes, by hand."""

import math

import numpy as np
import pytest
from scipy.stats import t

from medvol.metrics.intervals import leave_out
from medvol.metrics.masks.volume_agreement import VolumeAgreement, volume_agreement

FOUR = leave_out("abcd")


def found(true: list[float], predicted: list[float]) -> VolumeAgreement:
    return volume_agreement(np.array(true), np.array(predicted), FOUR[:, : len(true)])


def test_volumes_of_one_decade_are_subtracted() -> None:
    agreement = found([10, 20, 30, 40], [11, 22, 27, 44])  # 1, 2, -3, 4: mean 1, squares 26
    spread = 1.96 * math.sqrt(26 / 3)
    assert not agreement.as_ratio
    assert agreement.bias.value == pytest.approx(1)
    assert (agreement.low.value, agreement.high.value) == pytest.approx((1 - spread, 1 + spread))
    assert agreement.low.withheld == "of fewer than 5 patients"
    assert agreement.record()["compared"] == "predicted - true, ml"


def test_volumes_that_span_a_decade_are_divided() -> None:
    agreement = found([0.1, 10, 100, 3000], [0.2, 5, 400, 3000])  # 2, 1/2, 4, 1: by 1, -1, 2, 0
    assert agreement.as_ratio
    assert agreement.bias.value == pytest.approx(2**0.5)
    spread = 1.96 * math.sqrt(5 / 3)  # in doublings
    assert agreement.low.value == pytest.approx(2 ** (0.5 - spread))
    assert agreement.high.value == pytest.approx(2 ** (0.5 + spread))
    assert agreement.record()["compared"] == "predicted / true"


def test_intervals_of_bias_and_limits() -> None:
    """Of ten log-ratios the bias has Student's interval with half the degrees of freedom."""
    doublings = np.array([1.0, -1, 2, 0, -2, 1, -1, 2, 0, -2])
    true = np.geomspace(0.1, 1000, 10)
    agreement = volume_agreement(true, true * 2**doublings, leave_out("abcdefghij"))
    reach = t.ppf(0.975, 4.5) * math.sqrt(20 / 9 / 10)
    assert agreement.bias[:3] == pytest.approx((1, 2**-reach, 2**reach))
    low, high = agreement.low, agreement.high
    assert low.low < low.value < low.high < 1 < high.low < high.value < high.high
    assert low.value * high.value == pytest.approx(1)


def test_a_few_large_cases_do_not_make_the_limits_of_the_small_ones() -> None:
    """All off by a tenth: in ml the limits would lie 350 ml about a lesion of 0.1 ml."""
    true = np.array([0.1, 10, 100, 3000])
    agreement = volume_agreement(true, true * [1.1, 0.9, 1.1, 0.9], FOUR)
    assert 0.75 < agreement.low.value < agreement.high.value < 1.35


def test_one_empty_mask_has_no_ratio_and_two_say_nothing() -> None:
    agreement = found([0, 1, 10, 100], [3, 2, 0, 200])
    assert agreement.used.tolist() == [False, True, False, True]
    assert (agreement.empty, agreement.bias.cases) == (2, 2)
    assert agreement.bias.value == pytest.approx(2)
    assert math.isnan(agreement.low.value)  # limits of two cases
    plain = found([0, 1, 2, 0], [1, 1, 2, 0])
    assert plain.used.tolist() == [True, True, True, False]
    assert plain.bias.value == pytest.approx(1 / 3)
    assert np.isfinite(plain.high.value)


def test_nothing_anywhere() -> None:
    agreement = found([0, 0], [0, 0])
    assert (agreement.bias.cases, agreement.empty) == (0, 0)
    assert agreement.record()["bias"]["value"] is None
