# SPDX-License-Identifier: Apache-2.0
"""Class weights by hand: 6 items of a, 3 of b, 1 of c."""

import pytest
import torch

from medvol.training.class_weights import class_weights

ITEMS = [{"label": label} for label in [0] * 6 + [1] * 3 + [2]]


def test_balanced_is_n_over_k_times_n_c() -> None:
    weights = class_weights(ITEMS, 3)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])


def test_every_class_then_counts_the_same() -> None:
    weights = class_weights(ITEMS, ("a", "b", "c")).tolist()
    assert [6 * weights[0], 3 * weights[1], weights[2]] == pytest.approx([10 / 3] * 3)


def test_root_is_half_way_and_keeps_the_mean() -> None:
    weights = class_weights([{"label": 0}] * 4 + [{"label": 1}], 2, scheme="root").tolist()
    assert weights[1] / weights[0] == pytest.approx(2)  # the root of 4 : 1
    assert (4 * weights[0] + weights[1]) / 5 == pytest.approx(1)


def test_none_weighs_nothing() -> None:
    assert class_weights(ITEMS, 3, scheme="none").tolist() == [1, 1, 1]


def test_a_class_without_items_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no item is of class viral;"):
        class_weights(ITEMS, ("a", "b", "c", "viral"))
    with pytest.raises(ValueError, match="no item is of class 0, 1"):
        class_weights([], 2)


def test_other_labels_and_schemes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels \[2\]; give labels from 0 to 1"):
        class_weights(ITEMS, 2)
    with pytest.raises(ValueError, match="'balance'; give one of none, root, balanced"):
        class_weights(ITEMS, 3, scheme="balance")
