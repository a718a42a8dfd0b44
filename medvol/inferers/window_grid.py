# SPDX-License-Identifier: Apache-2.0
"""Where MONAI's sliding window puts its windows, in its own order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from monai.data.utils import dense_patch_slices
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep, fall_back_tuple

Window = tuple[slice, ...]


@dataclass(frozen=True)
class WindowGrid:
    """The windows of a volume.

    Args:
        shape: (X, Y, Z) of the volume, or of any number of axes.
        size: edges of a window.
        overlap: share of a window that the next one covers, 0 to below 1, of each axis.

    Example:
        >>> grid = WindowGrid((5, 9), (8, 4), (0.25, 0.25))
        >>> grid.padded, grid.before
        ((8, 9), (1, 0))
        >>> [(int(w[0].start), int(w[1].start)) for w in grid.windows]
        [(0, 0), (0, 3), (0, 5)]
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]
    overlap: tuple[float, ...]

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """The volume's shape where it is smaller than a window, it is padded to that."""
        return tuple(map(max, self.shape, self.size))

    @cached_property
    def before(self) -> tuple[int, ...]:
        """Voxels that are padded before each axis; after it there are as many, or one more."""
        return tuple((p - n) // 2 for p, n in zip(self.padded, self.shape, strict=True))

    @cached_property
    def padding(self) -> list[int]:
        """As `torch.nn.functional.pad` takes it: before and after, the last axis first."""
        found: list[int] = []
        for whole, edge, before in zip(self.padded, self.shape, self.before, strict=True):
            found = [before, whole - edge - before, *found]
        return found

    @cached_property
    def windows(self) -> list[Window]:
        """Slices of the padded volume, the first axis slowest."""
        steps = [
            edge if edge == whole else max(1, int(edge * (1 - share)))
            for edge, whole, share in zip(self.size, self.padded, self.overlap, strict=True)
        ]
        found: list[Window] = dense_patch_slices(self.padded, self.size, steps)
        return found

    @cached_property
    def cuts(self) -> list[int]:
        """Where a window begins or ends along the first axis, in order."""
        return sorted({edge for w in self.windows for edge in (w[0].start, w[0].stop)})

    def inside(self, window: Window) -> Window:
        """What a window covers of the volume itself, of which padding is no part."""
        return tuple(
            slice(max(0, w.start - before), min(edge, w.stop - before))
            for w, before, edge in zip(window, self.before, self.shape, strict=True)
        )


def window_grid(inferer: SlidingWindowInferer, shape: Sequence[int]) -> WindowGrid:
    """The windows that an inferer leads over a volume.

    Args:
        inferer: with its window and overlap.
        shape: (X, Y, Z) of the volume, or of any number of axes.
    """
    size = tuple(int(n) for n in fall_back_tuple(inferer.roi_size, shape))
    overlap = ensure_tuple_rep(inferer.overlap, len(size))
    return WindowGrid(tuple(shape), size, tuple(float(share) for share in overlap))
