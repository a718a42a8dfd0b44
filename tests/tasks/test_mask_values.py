# SPDX-License-Identifier: Apache-2.0
"""Numbers in a mask of a bundle made elsewhere, whatever their type and their order in memory."""

import numpy as np
import pytest

from medvol.labels import default_table
from medvol.tasks.mask_values import of_labels

VALUES = np.arange(24).reshape(2, 3, 4) % 5
NAMED = default_table({1: "a", 2: "b", 3: "c", 4: "d"})


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.float64])
def test_whole_numbers_stay_in_their_places(kind: type, order: str) -> None:
    mask = of_labels(VALUES.astype(kind, order=order), NAMED, of_regions=False)
    assert mask.array.dtype == np.uint8
    assert np.array_equal(mask.array, VALUES)
    assert mask.labels is None
    assert mask.notes == ()


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_between_two_labels_becomes_the_nearer_one(order: str) -> None:
    between = VALUES.astype(np.float32, order=order)
    between[1, 2, :3] += [0.4, 0.6, -0.00005]  # 20, 21, 22 % 5: 0, 1, 2
    mask = of_labels(between, NAMED, of_regions=False)
    assert mask.array[1, 2].tolist() == [0, 2, 2, 3]
    assert [note.text.partition(" of")[0] for note in mask.notes] == ["8 %"]  # 2 of 24


@pytest.mark.parametrize("high", [255, 256, 65535])
def test_high_values_keep_their_type(high: int) -> None:
    found = np.array([[[0, high]]], np.int32)
    mask = of_labels(found, NAMED, of_regions=True)
    assert mask.array.dtype == (np.uint8 if high < 256 else np.uint16)
    assert mask.array.tolist() == [[[0, high]]]


@pytest.mark.parametrize("found", [[-1.0], [65536.0], [float("nan")]])
def test_what_no_mask_has_is_refused(found: list[float]) -> None:
    with pytest.raises(ValueError, match="its mask holds values from"):
        of_labels(np.array([[found]]), NAMED, of_regions=False)
