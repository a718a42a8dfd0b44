# SPDX-License-Identifier: Apache-2.0
"""Intervals over cases: patients stay together, and the ends are where a hand puts them."""

import math

import numpy as np
import pytest

from medvol.metrics.intervals import (
    Estimate,
    draw_patients,
    draw_within,
    median_estimate,
    middle,
    ratio_estimate,
    resampled_estimate,
)


def test_cases_of_a_patient_are_drawn_together_and_patients_as_often_as_there_are() -> None:
    draws = draw_patients(["b", "a", "b", "c"], resamples=500)
    assert draws.shape == (500, 4)
    assert (draws[:, 0] == draws[:, 2]).all()
    assert (draws[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert draws[:, [0, 1, 3]].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.15)
    assert {tuple(d) for d in draws[:, [0, 1, 3]]} == {  # all ways to draw three of three
        (3, 0, 0), (0, 3, 0), (0, 0, 3), (2, 1, 0), (2, 0, 1),
        (1, 2, 0), (0, 2, 1), (1, 0, 2), (0, 1, 2), (1, 1, 1),
    }  # fmt: skip


def test_the_same_seed_gives_the_same_draws() -> None:
    first, again, other = (draw_patients(["a", "b", "c"], seed=s) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_interval_of_two_patients_by_hand() -> None:
    # of two patients a resample holds one twice (a quarter each) or both (a half): the mean is
    # 0.2, 0.5 or 0.8, and the middle 95 % reach from the lowest to the highest
    draws = draw_patients(["a", "b"])
    found = ratio_estimate(np.array([0.2, 0.8]), np.ones(2), draws)
    assert found == pytest.approx((0.5, 0.2, 0.8, 2))


def test_a_ratio_weighs_the_cases_by_what_stands_below() -> None:
    found = ratio_estimate(np.array([1.0, 9.0]), np.array([1.0, 3.0]), draw_patients(["a", "b"]))
    assert found == pytest.approx((10 / 4, 1.0, 3.0, 2))


def test_a_resample_with_nothing_below_is_left_out() -> None:
    # in 1 of 27 resamples "a" is drawn alone; else the most is 3 / 1 (a, a, b), the least 3 / 3
    draws = draw_patients(["a", "b", "c"])
    found = ratio_estimate(np.ones(3), np.array([0.0, 1.0, 1.0]), draws)
    assert found == pytest.approx((3 / 2, 1.0, 3.0, 3))


def test_interval_is_wider_when_the_cases_are_of_few_patients() -> None:
    scores = np.array([0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8])
    apart = ratio_estimate(scores, np.ones(8), draw_patients(list("abcdefgh")))
    together = ratio_estimate(scores, np.ones(8), draw_patients(list("aaaabbbb")))
    assert apart.value == together.value == pytest.approx(0.5)
    assert (together.low, together.high) == pytest.approx((0.2, 0.8))
    assert 0.2 < apart.low < 0.4
    assert 0.6 < apart.high < 0.8


def test_interval_of_a_median_by_hand() -> None:
    # the median of three draws from 1, 2, 9 is 1 when two or more are 1: in 7 of 27; 2 in 13 of 27
    found = median_estimate(np.array([9.0, 1.0, 2.0]), draw_patients(["a", "b", "c"]))
    assert found == (2.0, 1.0, 9.0, 3)
    same = median_estimate(np.array([1.0, 1.0, 1.0, 9.0]), draw_patients(list("aabb")))
    assert same == (1.0, 1.0, 5.0, 4)  # both a: 1; both b: of 1, 9, 1, 9; one of each: 1
    left_out = median_estimate(np.array([np.nan, 3.0, 5.0]), draw_patients(list("abc")))
    assert left_out == (4.0, 3.0, 5.0, 2)
    nothing = median_estimate(np.full(2, np.nan), draw_patients(["a", "b"]))
    assert nothing == pytest.approx((math.nan, math.nan, math.nan, 0), nan_ok=True)
    assert math.isnan(median_estimate(np.array([1.0, 2.0]), draw_patients(["a", "a"])).low)


def test_a_case_without_a_figure_is_left_out() -> None:
    found = ratio_estimate(np.array([0.2, np.nan, 0.8]), np.ones(3), draw_patients(["a", "b", "c"]))
    assert found == pytest.approx((0.5, 0.2, 0.8, 2))


def test_no_interval_from_one_patient() -> None:
    for patients, scores in (("aa", [0.2, 0.8]), ("ab", [0.2, np.nan])):
        found = ratio_estimate(np.array(scores), np.ones(2), draw_patients(list(patients)))
        assert found.value == pytest.approx(0.5 if patients == "aa" else 0.2)
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_no_case_no_figure() -> None:
    found = ratio_estimate(np.full(2, np.nan), np.ones(2), draw_patients(["a", "b"]))
    assert found.cases == 0
    assert all(math.isnan(x) for x in found[:3])


def test_resamples_are_one_or_more() -> None:
    with pytest.raises(ValueError, match="resamples is 0; give 1 or more"):
        draw_patients(["a"], resamples=0)
    assert draw_patients(["a"], resamples=1).tolist() == [[1]]


def test_draws_within_groups_keep_their_numbers() -> None:
    draws = draw_within(["a", "b", "a", "b", "b"], resamples=300)
    assert draws.shape == (300, 5)
    assert draws.dtype == np.int64
    assert (draws[:, [0, 2]].sum(axis=1) == 2).all()
    assert (draws[:, [1, 3, 4]].sum(axis=1) == 3).all()
    assert draws.mean(axis=0) == pytest.approx([1] * 5, abs=0.2)
    assert (draws == draw_within(["a", "b", "a", "b", "b"], resamples=300)).all()
    assert (draws != draw_within(["a", "b", "a", "b", "b"], resamples=300, seed=1)).any()


def test_the_middle_of_figures_is_95_percent_of_those_that_are_defined() -> None:
    figures = np.array([np.nan, *range(201)])
    assert middle(figures).tolist() == pytest.approx([5, 195])
    two = np.stack([figures, 2 * figures], axis=1)
    assert middle(two).T.tolist() == pytest.approx(np.array([[5, 195], [10, 390]]))


def test_resampled_estimate_leaves_out_what_is_not_defined() -> None:
    draws = draw_patients(list("abcde"), resamples=400)
    resampled = np.where(draws[:, 0] == 0, np.nan, draws[:, 0].clip(0, 2).astype(float))
    estimate = resampled_estimate(1.0, resampled, draws)
    assert estimate == (1.0, 1.0, 2.0, 5)
    assert math.isnan(resampled_estimate(math.nan, resampled, draws).low)


def test_record_has_none_for_what_is_not_defined() -> None:
    assert Estimate(0.5, math.nan, 1.0, 3).record() == {
        "value": 0.5, "low": None, "high": 1.0, "cases": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "interval", "words"),
    [
        (Estimate(0.84, 0.8, 0.9, 12), "0.80 to 0.90", "0.84 (0.80 to 0.90)"),
        (Estimate(0.84, math.nan, math.nan, 1), "", "0.84"),
        (Estimate(math.nan, math.nan, math.nan, 0), "", "nan"),
        (Estimate(math.nan, 0.8, 0.9, 12), "", "nan"),
    ],
    ids=["with an interval", "of one patient", "of no case", "not defined"],
)
def test_a_figure_in_words(estimate: Estimate, interval: str, words: str) -> None:
    assert estimate.interval("{:.2f}".format) == interval
    assert estimate.words("{:.2f}".format) == words
