# SPDX-License-Identifier: Apache-2.0
"""What is predicted from features and from names, by hand; logistic regression by its equations."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from medvol.metrics.classes.confounding import (
    Clues,
    fit_logistic,
    predict_from,
)


def test_features_that_give_the_answer_away() -> None:
    features = [[float(n)] for n in range(8)]
    training = Clues(features, ["no"] * 4 + ["yes"] * 4, list("abcdefgh"))
    measured = Clues([[0.0], [7.0], [6.0], [3.0]], ["no", "yes", "yes", "rare"], list("ijkl"))
    found = predict_from("class", "border", training, measured)
    assert found is not None
    assert (found.target, found.clue, found.answers) == ("class", "border", 2)
    assert found.accuracy[0] == found.auc[0] == 1.0
    assert found.accuracy.cases == 3  # "rare" does not occur in training
    assert found.guess == 1 / 3  # of equal ones the first: no


def test_name_alone_gives_its_shares() -> None:
    # in training: hospital A 3 of 4 ill, hospital B 1 of 4
    labels = ["ill", "ill", "ill", "well", "ill", "well", "well", "well"]
    training = Clues(list("AAAABBBB"), labels, list("abcdefgh"))
    truth = ["ill", "well", "ill", "well"]
    mixed = predict_from("class", "name", training, Clues(list("AABB"), truth, list("ijkl")))
    assert mixed is not None
    assert mixed.accuracy.value == 0.5
    assert mixed.auc.value == 0.5
    apart = predict_from("class", "name", training, Clues(list("ABAB"), truth, list("ijkl")))
    assert apart is not None
    assert (apart.accuracy.value, apart.auc.value) == (1.0, 1.0)


def test_name_that_is_new_has_the_shares_of_all() -> None:
    training = Clues(["A", "B", "B"], ["ill", "well", "well"], list("abc"))
    found = predict_from("class", "name", training, Clues(["C"], ["well"], ["d"]))
    assert found is not None
    assert (found.accuracy.value, found.guess) == (1.0, 1.0)
    assert math.isnan(found.auc.value)


@pytest.mark.parametrize("clue", [np.zeros((2, 1)), ["A", "B"]])
def test_nothing_to_predict(clue: object) -> None:
    one = Clues(clue, ["ill", "ill"], ["a", "b"])  # type: ignore[arg-type]
    two = one._replace(label=["ill", "well"])
    new = Clues(clue[:1], ["rare"], ["c"])  # type: ignore[index]
    assert predict_from("class", "clue", one, two) is None
    assert predict_from("class", "clue", two, new) is None


def test_one_feature_solves_its_equation() -> None:
    # Features -1 and 1, each label as its sign: both classes share the weight, w and -w, so the
    # log odds at 1 are 2 w, and w solves sigmoid(-2 w) = penalty * w (slope of loss and penalty).
    model = fit_logistic([[-1.0], [1.0]], [0, 1], penalty=0.1)
    weight = brentq(lambda w: 1 / (1 + math.exp(2 * w)) - 0.1 * w, 0, 10)
    odds = model.predict_proba([[1.0]])[0]
    assert odds[1] / odds[0] == pytest.approx(math.exp(2 * weight), rel=1e-5)
    assert model.predict_proba([[0.0]])[0].tolist() == pytest.approx([0.5, 0.5])


def test_three_classes_solve_their_equation() -> None:
    # One feature for each class: 1 where it is of it, else 0. In standard form sqrt(2) and
    # -1/sqrt(2); by symmetry the weights of a feature are a for its class and -a/2 for the others.
    table = np.eye(3)
    model = fit_logistic(table, [0, 1, 2], penalty=0.1)
    high, low = 2**0.5, -(0.5**0.5)

    def slope(a: float) -> float:
        own, other = (high - low) * a, (low - high) * a / 2
        wrong = 1 / (2 + math.exp(own - other))  # probability of each class that it is not of
        push = 2 * wrong * high - 2 * wrong * low  # own class too low by both
        return push / 3 - 0.1 * a

    weight = brentq(slope, 0, 20)
    own, other = (high - low) * weight, (low - high) * weight / 2
    odds = model.predict_proba(table[:1])[0]
    assert odds[0] / odds[1] == pytest.approx(math.exp(own - other), rel=1e-4)


def test_features_that_say_nothing_give_the_shares() -> None:
    model = fit_logistic(np.ones((8, 3)), [0, 0, 0, 0, 1, 1, 2, 2])
    assert model.predict_proba(np.ones((1, 3)))[0].tolist() == pytest.approx(
        [0.5, 0.25, 0.25], abs=1e-3
    )


def test_many_features_that_are_nearly_alike_are_fitted_to_the_end() -> None:
    # where the loss is least, its slope by each weight is 0
    random = np.random.default_rng(0)
    table, truth = random.normal(size=(40, 30)), np.arange(40) % 3
    table[:, 1:] += 20 * table[:, :1]
    model = fit_logistic(table, truth, penalty=1e-3)
    wrong = model.predict_proba(table) - np.eye(3)[truth]
    standard = (table - table.mean(0)) / table.std(0)
    slope = wrong.T @ standard / 40 + 1e-3 * model[-1].coef_
    assert np.abs(slope).max() < 1e-5


def test_scale_of_a_feature_does_not_matter() -> None:
    random = np.random.default_rng(0)
    table, truth = random.normal(size=(50, 4)), random.integers(0, 3, 50)
    first = fit_logistic(table, truth).predict_proba(table)
    scale, shift = np.array([1.0, 100.0, 0.01, 5.0]), np.array([0.0, 7.0, -1.0, 1000.0])
    moved = table * scale + shift
    second = fit_logistic(moved, truth).predict_proba(moved)
    assert np.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(
    ("features", "truth", "penalty", "words"),
    [
        ([[1.0]], [0, 1], 0.01, "inconsistent numbers of samples"),
        (np.zeros((0, 2)), [], 0.01, "0 sample"),
        ([[1.0], [2.0]], [0, 0], 0.01, "at least 2 classes"),
        ([[1.0]], [0], 0.0, "penalty is 0.0; give a number above 0"),
    ],
)
def test_refusals(features: object, truth: list[int], penalty: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_logistic(features, truth, penalty=penalty)  # type: ignore[arg-type]


def test_names_without_a_label_are_refused() -> None:
    training = Clues(["A", "B", "B"], ["ill", "well"], list("abc"))
    with pytest.raises(ValueError, match="shorter"):
        predict_from("class", "name", training, Clues(["A"], ["ill"], ["d"]))
