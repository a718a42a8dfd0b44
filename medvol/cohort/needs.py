# SPDX-License-Identifier: Apache-2.0
"""Memory that units need, by what others of their bundle took."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from .plan import Unit

SAFE = 1.2  # times what was measured: the same case takes more in another process, at another time


class Needs:
    """Memory that units take: as much as a measured one of the same bundle that is no smaller.

    Args:
        measured: units with the bytes that they took at their peak; without any, nothing is known.

    Example:
        >>> small, large = (Unit("a", "a", "lungs", size_bytes=size) for size in (10, 40))
        >>> needs = Needs([(small, 100), (large, 300)])
        >>> [needs.bytes_of(Unit("c", "c", "lungs", size_bytes=size)) for size in (5, 20, 80, 0)]
        [120, 360, 720, 360]
    """

    def __init__(self, measured: Iterable[tuple[Unit, int]]) -> None:
        found: dict[str, list[tuple[int, int]]] = {}
        for unit, peak in measured:
            if peak:
                found.setdefault(unit.bundle, []).append((unit.size_bytes, peak))
        self._sizes = {name: sorted(size for size, _ in pairs) for name, pairs in found.items()}
        self._peaks = {
            name: [*accumulate((peak for _, peak in sorted(pairs)), max)]
            for name, pairs in found.items()
        }

    def bytes_of(self, unit: Unit) -> int:
        """What a unit needs, in bytes; 0 where nothing is known of its bundle.

        One that is larger than all that were measured needs as many times as much; one of unknown
        size what the largest need.
        """
        if unit.bundle not in self._sizes:
            return 0
        sizes, peaks = self._sizes[unit.bundle], self._peaks[unit.bundle]
        place = bisect_left(sizes, unit.size_bytes) if unit.size_bytes else len(sizes)
        if place < len(sizes):  # of several that are as large, what the most took
            return round(SAFE * peaks[bisect_right(sizes, sizes[place]) - 1])
        larger = max(1.0, unit.size_bytes / sizes[-1]) if sizes[-1] else 1.0
        return round(SAFE * peaks[-1] * larger)
