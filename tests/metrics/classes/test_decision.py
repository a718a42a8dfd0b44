# SPDX-License-Identifier: Apache-2.0
"""Which class an image counts as: the most probable one, or by a threshold."""

import numpy as np
import pytest

from medvol.metrics.classes.decision import Decision, decided


def test_the_threshold_itself_counts_as_the_second_class() -> None:
    table = np.float32([[0.7, 0.3], [0.71, 0.29], [0.1, 0.9]])
    assert decided(table, 0.3).tolist() == [1, 0, 1]
    assert decided(table).tolist() == [0, 0, 1]
    assert decided(np.float32([[0.5, 0.5], [0.2, 0.8]])).tolist() == [0, 1]


def test_a_threshold_is_for_two_classes() -> None:
    with pytest.raises(ValueError, match=r"threshold is 0\.5 for 3 classes"):
        decided([0.2, 0.3, 0.5], 0.5)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"temperature": 1}, Decision(1.0, None)),
        ({"temperature": 0.8, "threshold": 0.62}, Decision(0.8, 0.62)),
    ],
)
def test_metadata(entry, found) -> None:
    assert Decision.from_metadata(entry) == found


@pytest.mark.parametrize("wrong", [
    {"temperature": 0}, {"temperature": 1, "threshold": 0}, {"temperature": 1, "threshold": 1},
])  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Decision.from_metadata(wrong)
