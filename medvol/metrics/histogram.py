# SPDX-License-Identifier: Apache-2.0
"""How the HU of a mask's labels are spread."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .measurements import Counts, Mask, Volume, slabs

CHEST_RANGE_HU = (-1100.0, 300.0)  # air to contrast-filled vessels
BIN_HU = 20.0


@dataclass(frozen=True)
class Histogram:
    """Voxels per HU bin, label by label.

    Args:
        edges_hu: (B + 1,) borders of the bins; a value on a border belongs to the upper bin.
        counts: label value to (B,) voxels; what lies outside the borders is not counted.
    """

    edges_hu: npt.NDArray[np.float64]
    counts: Mapping[int, Counts]

    def shares_percent(self, value: int) -> npt.NDArray[np.float64]:
        """Percent of the label's counted voxels in each bin, (B,); all 0 when there are none."""
        counts = self.counts[value]
        return 100.0 * counts / max(int(counts.sum()), 1)


def hu_histogram(
    labels: Mask,
    volume_hu: Volume,
    values: Collection[int],
    *,
    range_hu: tuple[float, float] = CHEST_RANGE_HU,
    bin_hu: float = BIN_HU,
) -> Histogram:
    """Count the HU of each label in equal bins, slab by slab.

    Args:
        labels: (X, Y, Z) integers, 0 for background.
        volume_hu: (X, Y, Z), the image on the same grid.
        values: labels to count.
        range_hu: lowest and highest border.
        bin_hu: width of a bin.

    Raises:
        ValueError: the range is empty or no multiple of the bin.
    """
    low, high = range_hu
    bins = round((high - low) / bin_hu)
    if bins < 1 or abs(bins * bin_hu - (high - low)) > 1e-6:
        raise ValueError(f"range_hu {range_hu} is no multiple of bin_hu {bin_hu}; give one that is")
    row_of = np.full(max(values, default=0) + 2, -1, np.int64)  # the last one: all above
    row_of[list(values)] = np.arange(len(values))
    counts = np.zeros(len(values) * bins, np.int64)
    for marked, image in slabs(labels, volume_hu):
        row = row_of.take(marked, mode="clip")
        column = np.floor((image - low) / bin_hu)
        counted = (row >= 0) & (column >= 0) & (column < bins)
        cell = row[counted] * bins + column[counted].astype(np.int64)
        counts += np.bincount(cell, minlength=counts.size)
    edges = np.linspace(low, high, bins + 1)
    rows = counts.reshape(len(values), bins)
    return Histogram(edges, {value: rows[index] for index, value in enumerate(values)})
