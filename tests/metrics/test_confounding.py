# SPDX-License-Identifier: Apache-2.0
"""What can be told from features and from names, by hand."""

import math

import numpy as np

from medvol.metrics.confounding import Cases, told_by_features, told_by_name

NAMES = ("class", "border")


def test_features_that_give_the_answer_away() -> None:
    training = Cases(["no"] * 4 + ["yes"] * 4, list("abcdefgh"))
    features = [[float(n)] for n in range(8)]
    measured = Cases(["no", "yes", "yes", "rare"], ["i", "j", "k", "l"])
    told = told_by_features(NAMES, (features, training), ([[0.0], [7.0], [6.0], [3.0]], measured))
    assert told is not None
    assert (told.target, told.clue, told.answers) == ("class", "border", 2)
    assert told.accuracy[0] == told.auc[0] == 1.0
    assert told.accuracy.cases == 3  # "rare" does not occur in training
    assert told.guess == 1 / 3  # of equal ones the first: no


def test_name_alone_gives_its_shares() -> None:
    # in training: hospital A 3 of 4 ill, hospital B 1 of 4
    training = Cases(["ill", "ill", "ill", "well", "ill", "well", "well", "well"], list("abcdefgh"))
    measured = Cases(["ill", "well", "ill", "well"], list("ijkl"))
    told = told_by_name(NAMES, (list("AAAABBBB"), training), (list("AABB"), measured))
    assert told is not None
    assert told.accuracy.value == 0.5
    assert told.auc.value == 0.5
    sorted_out = told_by_name(NAMES, (list("AAAABBBB"), training), (list("ABAB"), measured))
    assert sorted_out is not None
    assert (sorted_out.accuracy.value, sorted_out.auc.value) == (1.0, 1.0)


def test_name_that_is_new_has_the_shares_of_all() -> None:
    training = Cases(["ill", "well", "well"], list("abc"))
    told = told_by_name(NAMES, (["A", "B", "B"], training), (["C"], Cases(["well"], ["d"])))
    assert told is not None
    assert (told.accuracy.value, told.guess) == (1.0, 1.0)
    assert math.isnan(told.auc.value)


def test_nothing_to_tell() -> None:
    one = Cases(["ill", "ill"], ["a", "b"])
    two = Cases(["ill", "well"], ["a", "b"])
    new = Cases(["rare"], ["c"])
    table = np.zeros((2, 1))
    assert told_by_features(NAMES, (table, one), (table, two)) is None
    assert told_by_features(NAMES, (table, two), (table[:1], new)) is None
    assert told_by_name(NAMES, (["A", "B"], one), (["A", "B"], two)) is None
    assert told_by_name(NAMES, (["A", "B"], two), (["A"], new)) is None
