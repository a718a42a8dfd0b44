# SPDX-License-Identifier: Apache-2.0
"""Logistic regression against what its equations say."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from medvol.metrics.logistic import fit_logistic


def test_one_feature_solves_its_equation() -> None:
    # Features -1 and 1, each label as its sign: both classes share the weight, w and -w, so the
    # log odds at 1 are 2 w, and w solves sigmoid(-2 w) = penalty * w (slope of loss and penalty).
    model = fit_logistic([[-1.0], [1.0]], [0, 1], classes=2, penalty=0.1)
    weight = brentq(lambda w: 1 / (1 + math.exp(2 * w)) - 0.1 * w, 0, 10)
    assert model.weight[0].tolist() == pytest.approx([-weight, weight], rel=1e-3)
    assert model.bias[1] - model.bias[0] == pytest.approx(0, abs=1e-3)
    odds = model.probability([[1.0]])[0]
    assert odds[1] / odds[0] == pytest.approx(math.exp(2 * weight), rel=1e-3)


def test_features_that_tell_nothing_give_the_shares() -> None:
    model = fit_logistic(np.ones((8, 3)), [0, 0, 0, 0, 1, 1, 2, 2], classes=3)
    assert model.probability(np.ones((1, 3)))[0].tolist() == pytest.approx(
        [0.5, 0.25, 0.25], abs=1e-3
    )


def test_scale_of_a_feature_does_not_matter() -> None:
    random = np.random.default_rng(0)
    table, truth = random.normal(size=(50, 4)), random.integers(0, 3, 50)
    first = fit_logistic(table, truth, classes=3).probability(table)
    scale, shift = np.array([1.0, 100.0, 0.01, 5.0]), np.array([0.0, 7.0, -1.0, 1000.0])
    moved = table * scale + shift
    second = fit_logistic(moved, truth, classes=3).probability(moved)
    assert np.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(
    ("features", "truth", "penalty", "words"),
    [
        ([[1.0]], [0, 1], 0.01, "give \\(N, F\\) and \\(N,\\)"),
        (np.zeros((0, 2)), [], 0.01, "give"),
        ([[1.0]], [0], 0.0, "penalty is 0.0; give a number above 0"),
    ],
)
def test_refusals(features: object, truth: list[int], penalty: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_logistic(features, truth, classes=2, penalty=penalty)  # type: ignore[arg-type]
