# SPDX-License-Identifier: Apache-2.0
"""Log loss, calibration and temperature of several classes, by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from medvol.metrics.classes.calibration import (
    SMALLEST,
    Bin,
    expected_calibration_error,
    fit_class_temperature,
    fit_platt,
    image_losses,
    reliability,
    top,
    with_temperature,
)
from medvol.metrics.classes.ranking import roc_auc

# three classes; the top is right in the first, second and fourth image
TABLE = [[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.0, 0.1, 0.9]]
TRUTH = [0, 1, 0, 2]


def test_losses_of_images() -> None:
    assert image_losses(TABLE, TRUTH).tolist() == pytest.approx(
        [-math.log(0.6), -math.log(0.6), -math.log(0.1), -math.log(0.9)]
    )
    assert image_losses([[1.0, 0.0]], [1])[0] == pytest.approx(-math.log(SMALLEST))
    assert image_losses([[1.0, 0.0]], [0])[0] == 0.0
    assert image_losses([[1 + 5e-7, 0.0]], [0])[0] == 0.0  # above 1 by rounding
    assert image_losses([[0.5, 0.4995]], [0])[0] == -math.log(0.5)  # a thousandth may be missing


def test_reliability_of_the_predicted_class() -> None:
    two, eight, nine = reliability(*top(TABLE, TRUTH))
    assert (two.cases, two.probability, two.positive_share) == (2, pytest.approx(0.6), 1.0)
    assert (eight.cases, eight.positive_share) == (1, 0.0)
    assert (nine.cases, nine.positive_share) == (1, 1.0)
    error = (2 * 0.4 + 0.8 + 0.1) / 4
    assert expected_calibration_error(*top(TABLE, TRUTH)) == pytest.approx(error)
    assert math.isnan(expected_calibration_error(*top(np.zeros((0, 3)), [])))
    assert top([[1 + 5e-7, 0.0]], [0])[0].tolist() == [1.0]  # above 1 by rounding


@pytest.mark.parametrize("sharpness", [1.0, 3.0, 0.5])
def test_temperature_undoes_a_factor(sharpness: float) -> None:
    """Log odds of +-log 3 with three of four on the right side are right; times s they need 1/s."""
    odds = np.array([1, 1, 1, 1, -1, -1, -1, -1]) * np.log(3) * sharpness
    positive = 1 / (1 + np.exp(-odds))
    found = fit_class_temperature(np.stack([1 - positive, positive], 1), [1, 1, 1, 0, 0, 0, 0, 1])
    assert found == pytest.approx(sharpness, rel=1e-3)


def test_temperature_of_four_equal_rows_by_hand() -> None:
    # of 4 images with 0.8, 0.1, 0.1 two are right: the top should have a half, so
    # 8 ** (1 / T) / (8 ** (1 / T) + 2) = 1 / 2, 8 ** (1 / T) = 2, T = 3
    table = [[0.8, 0.1, 0.1]] * 4
    found = fit_class_temperature(table, [0, 0, 1, 2])
    assert found == pytest.approx(3.0, rel=1e-3)
    assert with_temperature(table, found)[0].tolist() == pytest.approx([0.5, 0.25, 0.25], rel=1e-3)


def test_temperature_of_rows_of_two_kinds_solves_its_equation() -> None:
    # odds of 9 and of 3 to 1, in each kind three of four right: where the loss is least, the right
    # ones less the expected ones, weighted by their log odds, add up to 0
    def slope(temperature: float) -> float:
        odds = np.log([9, 3])
        return float((odds * (3 - 4 / (1 + np.exp(-odds / temperature)))).sum())

    table = [[0.9, 0.1]] * 4 + [[0.75, 0.25]] * 4
    found = fit_class_temperature(table, [0, 0, 0, 1] * 2)
    assert found == pytest.approx(brentq(slope, 0.5, 5), rel=1e-3)


def test_temperature_of_a_probability_of_zero() -> None:
    # three of four are right where 1 / (1 + SMALLEST ** (1 / T)) is 3 / 4
    found = fit_class_temperature([[1.0, 0.0]] * 4, [0, 0, 0, 1])
    assert found == pytest.approx(math.log(1 / SMALLEST) / math.log(3), rel=1e-3)


def test_temperature_at_its_ends() -> None:
    assert fit_class_temperature([[0.6, 0.4]] * 3, [0, 0, 0]) == pytest.approx(0.05, rel=1e-3)
    assert fit_class_temperature([[0.9, 0.1]] * 2, [1, 1]) == pytest.approx(20, rel=1e-3)
    assert fit_class_temperature(np.zeros((0, 2)), []) == 1.0


def test_temperature_keeps_the_order_and_one_changes_nothing() -> None:
    assert with_temperature(TABLE[:3], 1.0).tolist() == [pytest.approx(row) for row in TABLE[:3]]
    warm = with_temperature(TABLE, 5.0)
    assert warm.argmax(1).tolist() == [0, 1, 2, 2]
    assert warm.sum(1).tolist() == pytest.approx([1, 1, 1, 1])
    assert with_temperature(np.array(TABLE, np.float32), 5.0).dtype == np.float64


@pytest.mark.parametrize(
    ("table", "truth", "words"),
    [
        ([[0.5, 0.5]], [0, 1], "give \\(N, classes\\) and \\(N,\\)"),
        ([[0.5, 0.5]], [2], "give classes from 0 to 1"),
        ([[0.5, 0.4]], [0], "^a row does not add up to 1; give probabilities of each class$"),
        ([[0.5, 0.4985]], [0], "add up to 1"),
        ([[1.0005, 0.0]], [0], "add up to 1"),
        ([[-0.5, 1.5]], [0], "add up to 1"),
    ],
)
def test_refusals(table: list[list[float]], truth: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        image_losses(table, truth)


def test_temperature_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="temperature is 0; give a number above 0"):
        with_temperature([[0.5, 0.5]], 0)


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
    with pytest.raises(ValueError, match=r"\(2,\) scores and \(3,\) truths; give \(N,\)"):
        roc_auc([0.1, 0.2], [0, 1, 1])
    with pytest.raises(ValueError, match="the truth holds other values than 0 and 1"):
        roc_auc([0.1, 0.2], [0, 2])
    for truth in ([1, 1], [0, 0]):
        with pytest.raises(ValueError, match=r"^the truth has one class only; give .* negatives$"):
            fit_platt([0.1, 0.2], truth)


def test_platt_scaling_of_one_positive() -> None:
    """A positive aims at 2/3, each of two negatives at 1/4."""
    slope, offset = fit_platt([0.0, 0.0, 1.0], [0, 0, 1])
    assert offset == pytest.approx(np.log(1 / 3), rel=1e-3)
    assert offset + slope == pytest.approx(np.log(2), rel=1e-3)
