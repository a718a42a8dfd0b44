# SPDX-License-Identifier: Apache-2.0
"""Labels as viewers count them, and back."""

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.labels import default_table
from medvol.server.monailabel.numbering import (
    counted_names,
    for_viewers,
    names_of_values,
    own_values,
    said_names,
)

TABLES = {"a": ["brain"], "b": ["lung", "lesion", "vessel"]}


def test_background_is_not_counted_and_values_follow_the_order() -> None:
    names = counted_names(default_table({7: "lung", 2: "Back ground", 4: "lesion"}))
    assert names == {4: "lesion", 7: "lung"}
    mask = for_viewers(np.array([[[0, 2, 4, 7]]], np.uint8), names)
    assert mask.tolist() == [[[0, 0, 1, 2]]]


def test_what_a_viewer_says_counts_also_where_it_skips_numbers() -> None:
    said = said_names([{"name": "lung", "idx": 2}, {"name": "lesion", "idx": 3}, "x", {"idx": 5}])
    assert said == {2: "lung", 3: "lesion"}
    assert names_of_values([2, 3], said, {}) == said
    assert names_of_values([1, 2], said, {}) == {1: "lung", 2: "lesion"}


def test_values_that_are_not_said_are_those_of_the_bundle_that_agrees() -> None:
    assert names_of_values([1, 3], {1: "Lung"}, TABLES) == {1: "lung", 3: "vessel"}
    assert names_of_values([1], {}, TABLES) == {1: "brain"}


@pytest.mark.parametrize(
    ("values", "said"), [([4], {}), ([1, 2], {1: "brain"}), ([9], {1: "lung"})]
)
def test_values_that_nobody_names_are_refused(values: list[int], said: dict[int, str]) -> None:
    with pytest.raises(InputError, match="E_LABELS"):
        names_of_values(values, said, TABLES)


def test_names_get_the_values_of_the_bundle_and_new_ones_numbers_behind() -> None:
    table = {1: "lesion", 5: "lung"}
    names = {1: "LUNG", 2: "vessel", 3: "lesion", 4: "airway"}
    assert own_values(names, table) == {1: 5, 2: 6, 3: 1, 4: 7}
