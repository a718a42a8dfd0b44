# SPDX-License-Identifier: Apache-2.0
"""Percentiles of an organ's HU, and when they lie beyond the training data."""

import numpy as np
import pytest

from medvol.metrics.levels import OrganLevels, level_ranges, organ_percentiles

HU = np.repeat(np.arange(-1000.0, 0.0, 10), 10).reshape(10, 10, 10)  # 10 voxels in each of 100 bins
LABELS = np.ones(HU.shape, np.uint8)


def test_percentiles_of_several_labels_and_of_none() -> None:
    labels = LABELS.copy()
    labels[5:] = 2
    assert organ_percentiles(labels, HU, [1, 2], [10, 50]) == {10: -905.0, 50: -505.0}
    assert organ_percentiles(labels, HU, [1], [50]) == {50: -755.0}
    assert organ_percentiles(labels, HU, [3], [50]) == {}


@pytest.mark.parametrize(
    ("shift", "noted"), [(0, False), (20, False), (30, True), (-20, False), (-30, True)]
)
def test_beyond_the_training_data(shift: float, noted: bool) -> None:
    levels = OrganLevels({50: (-530.0, -480.0)})
    notes = levels.notes(LABELS, HU + shift, [1], name="lung")
    assert [note.code for note in notes] == (["N_SHIFT"] if noted else [])


def test_words() -> None:
    levels = OrganLevels({10: (-1000.0, -920.0), 50: (-530.0, -480.0)})
    (note,) = levels.notes(LABELS, HU, [1], name="lung")
    assert note.text == (
        "10 % of the lung lie below -905 HU, in the training data below -1000 to -920. Expect a "
        "worse mask."
    )
    assert levels.notes(LABELS, HU, [2]) == []


def test_ranges_of_the_training_data() -> None:
    cases = [{10: -905.0, 50: -855.0}, {10: -935.0, 50: -815.0}]
    assert level_ranges(cases) == {10: (-975.0, -865.0), 50: (-895.0, -775.0)}


def test_metadata() -> None:
    levels = OrganLevels.from_metadata({"10": [-975, -865], "50": [-895, -775]})
    assert levels.ranges_hu == {10.0: (-975.0, -865.0), 50.0: (-895.0, -775.0)}
    for row, words in (
        ({}, "no percentile"), ({"100": [0, 1]}, "100 is not between"), ({"0": [0, 1]}, "0 is not"),
        ({"50": [1, 1]}, "1 to 1 HU is not a range"), ({"50": [1]}, "not enough values"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            OrganLevels.from_metadata(row)
