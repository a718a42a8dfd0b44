# SPDX-License-Identifier: Apache-2.0
"""Intervals over cases: patients stay together; the ends are those of textbooks and of scipy."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, t
from scipy.stats.mstats import median_cihs

from medvol.metrics.intervals import (
    MOST_ROWS,
    Estimate,
    Scale,
    draw_patients,
    figure_estimate,
    leave_out,
    median_estimate,
    middle,
    ratio_estimate,
)

EIGHT = leave_out("abcdefgh")


def test_cases_of_a_patient_are_left_out_together() -> None:
    assert leave_out(["b", "a", "b", "c"]).tolist() == [
        [1, 0, 1, 1],
        [0, 1, 0, 1],
        [1, 1, 1, 0],
    ]


def test_many_patients_are_left_out_several_at_a_time() -> None:
    rows = leave_out([f"{n:04}" for n in range(2 * MOST_ROWS + 1) for _ in range(2)])
    assert rows.shape == (MOST_ROWS, 4 * MOST_ROWS + 2)
    assert (rows == 0).sum(0).tolist() == [1] * rows.shape[1]
    assert sorted({*(rows == 0).sum(1).tolist()}) == [4, 6]


@pytest.mark.parametrize(("right", "patients"), [(9, 10), (81, 263), (15, 148), (5, 5), (0, 20)])
def test_a_share_of_patients_has_the_exact_interval(right: int, patients: int) -> None:
    """81 of 263 and 15 of 148 are Newcombe's examples (1998, Statistics in Medicine 17: 857)."""
    found = ratio_estimate(
        np.arange(patients) < right, np.ones(patients), leave_out([f"{n}" for n in range(patients)])
    )
    expected = binomtest(right, patients).proportion_ci(method="exact")
    assert found[:3] == pytest.approx((right / patients, expected.low, expected.high))
    if patients == 263:
        assert found[1:3] == pytest.approx((0.2527, 0.3676), abs=5e-5)
    if patients == 148:
        assert found[1:3] == pytest.approx((0.0578, 0.1617), abs=5e-5)


def test_two_scans_that_are_alike_count_as_one() -> None:
    once = ratio_estimate(np.arange(8) < 6, np.ones(8), EIGHT)
    twice = ratio_estimate(np.arange(16) < 12, np.ones(16), leave_out("aabbccddeeffgghh"))
    assert twice[:3] == pytest.approx(once[:3])
    apart = ratio_estimate(np.arange(16) < 12, np.ones(16), leave_out("abcdefghijklmnop"))
    assert apart.high - apart.low < 0.8 * (once.high - once.low)


def test_a_mean_of_shares_has_the_score_interval_of_its_spread() -> None:
    """The standard error of a mean, with Student's quantile at half the degrees of freedom."""
    dice = np.array([0.9, 0.8, 0.85, 0.6, 0.75, 0.95, 0.7, 0.85])
    value, low, high, cases, withheld = ratio_estimate(dice, np.ones(8), EIGHT)
    error, quantile = dice.std(ddof=1) / math.sqrt(8), t.ppf(0.975, 3.5)
    assert (value, cases, withheld) == (pytest.approx(0.8), 8, "")
    for end in (low, high):  # where the spread that a share at the end would have reaches the mean
        expected = error * math.sqrt(end * (1 - end) / (value * (1 - value)))
        assert abs(value - end) == pytest.approx(quantile * expected)
    assert 0.6 < low < value - quantile * error
    assert high < value + quantile * error < 1


def test_a_difference_has_students_interval() -> None:
    gains = np.array([0.1, -0.05, 0.2, 0.0, 0.05, 0.1, -0.1, 0.1])
    found = ratio_estimate(gains, np.ones(8), EIGHT, scale=Scale.DIFFERENCE)
    error, quantile = gains.std(ddof=1) / math.sqrt(8), t.ppf(0.975, 3.5)
    assert found[:3] == pytest.approx((0.05, 0.05 - quantile * error, 0.05 + quantile * error))


def test_an_amount_is_never_below_zero_and_reaches_further_up() -> None:
    counts = np.array([0.0, 0, 1, 0, 2, 0, 6, 1])
    value, low, high, *_ = ratio_estimate(counts, np.ones(8), EIGHT, scale=Scale.AMOUNT)
    error, quantile = counts.std(ddof=1) / math.sqrt(8), t.ppf(0.975, 7 / 3)
    for end in (low, high):  # the variance of a count grows with its mean
        assert abs(value - end) == pytest.approx(quantile * error * math.sqrt(end / value))
    assert 0 < low < 1.25 - low < high - 1.25
    nothing = ratio_estimate(np.zeros(8), np.ones(8), EIGHT, scale=Scale.AMOUNT)
    assert nothing[:3] == pytest.approx((0, 0, quantile**2 / 8))  # as of one in all, and none seen


def test_a_ratio_weighs_the_cases_by_what_stands_below() -> None:
    """Its standard error is the jackknife's; one patient with most of it leaves hardly a degree."""
    above, below = np.array([8.0, 6, 7, 3, 4, 5, 2, 90]), np.array([10.0] * 7 + [100])
    value, low, high, *_ = ratio_estimate(above, below, EIGHT)
    without = np.array([(125 - a) / (170 - b) for a, b in zip(above, below, strict=True)])
    error = math.sqrt(7 / 8 * ((without - without.mean()) ** 2).sum())
    degrees = (7 * 100 + 1e4) ** 2 / (7 * 1e4 + 1e8)  # 1.14
    expected = t.ppf(0.975, degrees) * error * math.sqrt(low * (1 - low) / (value * (1 - value)))
    assert value == 125 / 170
    assert value - low == pytest.approx(expected)
    assert low < 0.1
    assert high > 0.98


@pytest.mark.parametrize(
    ("patients", "expected"),
    [(11, (1.95, 8.05)), (20, (5.29, 13.71)), (110, (44.3, 64.7))],
)
def test_a_median_has_the_ends_of_order_statistics(
    patients: int, expected: tuple[float, float]
) -> None:
    values = np.arange(patients, dtype=float)
    random = np.random.default_rng(1)
    alone = leave_out([f"{n}" for n in range(patients)])
    found = median_estimate(random.permutation(values), alone)
    assert found.value == (patients - 1) / 2
    assert found[1:3] == pytest.approx(expected, abs=0.06)
    assert found[1:3] == pytest.approx(median_cihs(values), abs=0.2)  # Hettmansperger and Sheather


def test_a_median_of_several_scans_a_patient() -> None:
    values = np.arange(40.0)
    alone = median_estimate(values, leave_out([f"{n}" for n in range(40)]))
    mixed = median_estimate(values, leave_out([f"{n % 20}" for n in range(40)]))
    alike = median_estimate(values, leave_out([f"{n // 2}" for n in range(40)]))
    assert alone.value == mixed.value == alike.value == 19.5
    # the scans of a mixed patient lie one on each side, so the share below the median never changes
    assert mixed.high - mixed.low > alone.high - alone.low
    assert alike.high - alike.low > 1.3 * (alone.high - alone.low)


def test_any_figure_has_the_interval_that_a_mean_has() -> None:
    dice = np.array([0.9, 0.8, 0.85, 0.6, 0.75, 0.95, 0.7, 0.85])
    found = figure_estimate(dice.mean(), EIGHT @ dice / 7, EIGHT)
    assert found[:4] == pytest.approx(ratio_estimate(dice, np.ones(8), EIGHT)[:4])


def test_a_figure_of_classes_is_as_sure_as_its_rarest_class() -> None:
    """All is right: it counts as so many patients, 2 ** 2 / (1 / rare + 1 / others)."""
    for rare, patients in ((2, 2**2 / (1 / 2 + 1 / 6)), (4, 8)):
        classes = np.arange(8) < rare
        found = figure_estimate(1.0, np.ones(8), EIGHT, classes=classes)
        quantile = t.ppf(0.975, (patients - 1) / 2)
        assert found[:3] == pytest.approx((1, 1 / (1 + quantile**2 / patients), 1))
    one = figure_estimate(1.0, np.ones(8), EIGHT, classes=np.arange(8) == 0)
    assert (math.isnan(one.low), one.withheld) == (True, "a class has cases of one patient only")


def test_a_difference_of_classes_counts_one_more_patient() -> None:
    """Two bundles that agree on 8 of 8 patients may differ on the next."""
    found = figure_estimate(0.0, np.zeros(8), EIGHT, scale=Scale.DIFFERENCE, classes=np.zeros(8))
    assert found.high == -found.low == pytest.approx(t.ppf(0.975, 3.5) / 8)


def test_a_case_without_a_figure_is_left_out() -> None:
    values = np.array([0.9, np.nan, 0.8, 0.85, 0.6, 0.75, 0.95, 0.7])
    known = values[np.isfinite(values)]
    found = ratio_estimate(values, np.ones(8), EIGHT)
    expected = ratio_estimate(known, np.ones(7), leave_out("acdefgh"))
    assert found[:4] == pytest.approx((*expected[:3], 7))
    assert median_estimate(values, EIGHT) == median_estimate(known, leave_out("acdefgh"))


def test_no_interval_of_few_patients() -> None:
    four = leave_out("aaaabcd")
    for found in (
        ratio_estimate(np.arange(7) / 7, np.ones(7), four),
        median_estimate(np.arange(7) / 7, four),
        figure_estimate(3 / 7, np.full(4, 3 / 7), four),
    ):
        assert found.value == pytest.approx(3 / 7)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert found.withheld == "of fewer than 5 patients"
    assert not ratio_estimate(np.arange(7) / 7, np.ones(7), leave_out("aaabcde")).withheld


def test_no_interval_where_a_patient_decides_whether_there_is_a_figure() -> None:
    found = figure_estimate(0.5, np.array([0.5] * 7 + [np.nan]), EIGHT)
    assert (math.isnan(found.low), found.withheld) == (True, "not defined without a patient")


def test_no_case_no_figure() -> None:
    for found in (
        ratio_estimate(np.full(8, np.nan), np.ones(8), EIGHT),
        median_estimate(np.full(8, np.nan), EIGHT),
    ):
        assert found.cases == 0
        assert all(math.isnan(x) for x in found[:3])


def test_patients_are_drawn_together_and_as_often_as_there_are() -> None:
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


def test_resamples_are_one_or_more() -> None:
    with pytest.raises(ValueError, match="resamples is 0; give 1 or more"):
        draw_patients(["a"], resamples=0)
    assert draw_patients(["a"], resamples=1).tolist() == [[1]]


def test_the_middle_of_figures_is_95_percent_of_those_that_are_defined() -> None:
    figures = np.array([np.nan, *range(201)])
    assert middle(figures).tolist() == pytest.approx([5, 195])
    two = np.stack([figures, 2 * figures], axis=1)
    assert middle(two).T.tolist() == pytest.approx(np.array([[5, 195], [10, 390]]))


def test_record_has_none_for_what_is_not_defined() -> None:
    assert Estimate(0.5, math.nan, 1.0, 3).record() == {
        "value": 0.5, "low": None, "high": 1.0, "cases": 3, "withheld": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "interval", "words"),
    [
        (Estimate(0.84, 0.8, 0.9, 12), "0.80 to 0.90", "0.84 (0.80 to 0.90)"),
        (Estimate(0.84, math.nan, math.nan, 1, "of one patient"), "", "0.84"),
        (Estimate(math.nan, math.nan, math.nan, 0), "", "nan"),
        (Estimate(math.nan, 0.8, 0.9, 12), "", "nan"),
    ],
    ids=["with an interval", "of one patient", "of no case", "not defined"],
)
def test_a_figure_in_words(estimate: Estimate, interval: str, words: str) -> None:
    assert estimate.interval("{:.2f}".format) == interval
    assert estimate.words("{:.2f}".format) == words
