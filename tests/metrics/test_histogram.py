# SPDX-License-Identifier: Apache-2.0
"""Histograms of a small mask, worked out by hand."""

import numpy as np
import pytest

from medvol.metrics.histogram import hu_histogram


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Six voxels marked: two ground-glass (-600, -500), four lung (-800, -900, -900, -800)."""
    labels = np.zeros((4, 3, 2), np.uint16)
    volume = np.full(labels.shape, 40.0, np.float32)
    labels[1, 0, :] = 1
    volume[1, 0, :] = (-600, -500)
    labels[2, 1:, :] = 300
    volume[2, 1:, :] = ((-800, -900), (-900, -800))
    return labels, volume


def test_histogram_bins_are_closed_below_and_leave_out_what_is_outside() -> None:
    labels, volume = phantom()
    histogram = hu_histogram(labels, volume, (1, 2, 300), range_hu=(-900, -500), bin_hu=100)
    assert histogram.edges_hu.tolist() == [-900, -800, -700, -600, -500]
    assert histogram.counts[1].tolist() == [0, 0, 0, 1]  # -500 is the upper border: outside
    assert histogram.counts[300].tolist() == [2, 2, 0, 0]
    assert histogram.shares_percent(300).tolist() == [50, 50, 0, 0]
    assert histogram.shares_percent(2).tolist() == [0, 0, 0, 0]


def test_histogram_refuses_a_range_that_bins_do_not_fill() -> None:
    with pytest.raises(ValueError, match="multiple"):
        hu_histogram(*phantom(), (1,), range_hu=(-900, -450), bin_hu=100)
