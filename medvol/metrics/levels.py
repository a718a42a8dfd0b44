# SPDX-License-Identifier: Apache-2.0
"""Whether the HU of an organ lie where they lay in the training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Note
from .measurements import Mask, Volume, hu_histogram

RANGE_HU, BIN_HU = (-1500.0, 1500.0), 10.0  # a note needs no finer steps
MARGIN_HU = 40.0  # beyond the training data; two kernels or scanners differ by about 20


@dataclass(frozen=True)
class OrganLevels:
    """Between which HU percentiles of an organ lay in the training data.

    Args:
        ranges_hu: percentile, above 0 and below 100, to (lowest, highest) in HU.

    Raises:
        ValueError: no percentile, one out of range, or a range that is not in order.
    """

    ranges_hu: Mapping[float, tuple[float, float]]

    def __post_init__(self) -> None:
        if not self.ranges_hu:
            raise ValueError("no percentile is given")
        for percentile, (low, high) in self.ranges_hu.items():
            if not 0 < percentile < 100:
                raise ValueError(f"percentile {percentile:g} is not between 0 and 100")
            if not low < high:
                raise ValueError(f"{low:g} to {high:g} HU is not a range")

    @classmethod
    def from_metadata(cls, row: Mapping[str, Any]) -> "OrganLevels":
        """Read it from `organ_levels_hu` of a bundle's `metadata.json`.

        Raises:
            TypeError, ValueError: something is wrong.
        """
        ranges = {}
        for percentile, limits in row.items():
            low, high = (float(value) for value in limits)
            ranges[float(percentile)] = (low, high)
        return cls(ranges)

    def notes(
        self, labels: Mask, volume_hu: Volume, values: Sequence[int], *, name: str = "organ"
    ) -> list[Note]:
        """N_SHIFT where a percentile lies beyond the training data; nothing without the organ.

        Args:
            labels: (X, Y, Z) integers, 0 for background.
            volume_hu: (X, Y, Z) in HU on the same grid.
            values: of the organ.
            name: of the organ.
        """
        found = organ_percentiles(labels, volume_hu, values, [*self.ranges_hu])
        odd = [
            f"{percentile:g} % of the {name} lie below {found[percentile]:.0f} HU, in the training "
            f"data below {low:.0f} to {high:.0f}"
            for percentile, (low, high) in self.ranges_hu.items()
            if percentile in found and not low <= found[percentile] <= high
        ]
        return [Note("N_SHIFT", f"{'; '.join(odd)}. Expect a worse mask.")] if odd else []


def organ_percentiles(
    labels: Mask, volume_hu: Volume, values: Sequence[int], percentiles: Sequence[float]
) -> dict[float, float]:
    """Percentiles of the HU of an organ, to half of `BIN_HU`; none where it has no voxel.

    Args:
        labels: (X, Y, Z) integers, 0 for background.
        volume_hu: (X, Y, Z) in HU on the same grid.
        values: of the organ.
        percentiles: above 0 and below 100.

    Example:
        >>> hu = np.arange(-1000.0, 0.0).reshape(10, 10, 10)
        >>> organ_percentiles(np.ones(hu.shape, np.uint8), hu, [1], [10, 50])
        {10: -905.0, 50: -505.0}
    """
    histogram = hu_histogram(labels, volume_hu, values, range_hu=RANGE_HU, bin_hu=BIN_HU)
    counts = np.sum([histogram.counts[value] for value in values], axis=0)
    if not counts.sum():
        return {}
    below = np.cumsum(counts) / counts.sum()
    middles = histogram.edges_hu[:-1] + BIN_HU / 2
    return {
        percentile: float(middles[np.searchsorted(below, percentile / 100)])
        for percentile in percentiles
    }


def level_ranges(
    cases: Sequence[Mapping[float, float]], *, margin_hu: float = MARGIN_HU
) -> dict[float, tuple[float, float]]:
    """Ranges of percentiles over the cases of the training data, wider by a margin on both sides.

    Args:
        cases: percentile to HU of each, as `organ_percentiles` gives them.
        margin_hu: 0 or more.

    Example:
        >>> level_ranges([{50: -850.0}, {50: -800.0}], margin_hu=50)
        {50: (-900.0, -750.0)}
    """
    return {
        percentile: (
            min(case[percentile] for case in cases) - margin_hu,
            max(case[percentile] for case in cases) + margin_hu,
        )
        for percentile in cases[0]
    }
