# SPDX-License-Identifier: Apache-2.0
"""Volumes read along their own axes, one after the other, in slabs: no full-size copy is made.

Where a new grid is parallel to the old one, each of its axes reads one axis of the old: a voxel is
a weighted sum of a few old ones (linear, cubic, averages), or just one of them (nearest, a flip, a
crop). The volume is read as it is stored, whatever its type and the order of its axes in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..threads import one_thread_each

SLAB_BYTES = 8 << 20  # of float32 at once: what a core's caches hold, and malloc gives out again
BLOCK = 32  # rows of weights in one product: fewer are many small products, more are mostly zeros

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Along:
    """How the voxels of a new axis read an old one; as it is where there are no weights and picks.

    Args:
        size: voxels of the old axis.
        weights: (n, m) float32, of each of the m old voxels in each of n new ones; None: one each.
        picks: (m,) indices of the old voxels; None: all, in order.
    """

    size: int
    weights: Tensor | None = None
    picks: Tensor | None = None

    @classmethod
    def of(cls, weights: Tensor) -> "Along":
        """With these weights, (n, size); it picks voxels where each row is a 1 and zeros else."""
        size = weights.shape[1]
        picked = weights.argmax(1)
        if not torch.equal(weights, torch.nn.functional.one_hot(picked, size).to(weights)):
            return cls(size, weights.contiguous())
        return cls(size) if torch.equal(picked, torch.arange(size)) else cls(size, picks=picked)

    def __len__(self) -> int:
        rows = self.picks if self.weights is None else self.weights
        return self.size if rows is None else len(rows)

    def __getitem__(self, part: slice) -> "Along":
        """The same for some of the new voxels."""
        if self.weights is not None:
            return Along(self.size, self.weights[part], self.picks)
        return Along(self.size, picks=self.picked[part])

    @property
    def picked(self) -> Tensor:
        """Indices of the old voxels that are read, (m,)."""
        return torch.arange(self.size) if self.picks is None else self.picks

    def flipped(self) -> "Along":
        """The new axis in the other direction."""
        if self.weights is not None:
            return Along(self.size, self.weights.flip(0), self.picks)
        return Along(self.size, picks=self.picked.flip(0))

    def after(self, first: "Along") -> "Along":
        """Both in one: this reads what `first` makes of an older axis.

        Raises:
            ValueError: both have weights, whose products would be rounded otherwise.
        """
        if self.weights is not None and first.weights is not None:
            raise ValueError("both axes have weights; read the volume after the first")
        if first.weights is not None:
            return Along(first.size, first.weights[self.picked], first.picks)
        unchanged = first.picks is None and self.picks is None
        picks = None if unchanged else first.picked[self.picked]
        return Along(first.size, self.weights, picks)

    @cached_property
    def _ends(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The first and the last pick that each new voxel has a weight of; 0 and -1 for none."""
        read = np.asarray(torch.as_tensor(self.weights) != 0)
        last = read.shape[1] - 1 - read[:, ::-1].argmax(1)
        some = read.any(1)
        return np.where(some, read.argmax(1), 0), np.where(some, last, -1)

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """From which pick to before which one some new voxels read: at least one."""
        if self.weights is None:
            return start, stop
        first, last = (ends[start:stop] for ends in self._ends)
        low = int(first.min())
        return low, max(low, int(last.max())) + 1


def read_along(
    volume: Tensor,
    axes: Sequence[Along],
    order: Sequence[int] | None = None,
    *,
    before: Change | None = None,
    after: Change | None = None,
) -> Tensor:
    """A volume on another grid that is parallel to its own.

    Args:
        volume: (C, *size) of any type and order in memory, finite where there are weights.
        axes: how each of its spatial axes is read.
        order: which of them each axis of the result is; None: the same.
        before: what changes the old voxels, float32, each by itself.
        after: what changes the new voxels, each by itself.

    Returns:
        (C, *n), contiguous float32.

    Example:
        >>> half = Along(3, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
        >>> read_along(torch.tensor([[1, 3, 7]], dtype=torch.int16), [half.flipped()]).tolist()
        [[5.0, 2.0]]
    """
    order = range(len(axes)) if order is None else order
    made = torch.empty(len(volume), *(len(axes[axis]) for axis in order), device=volume.device)
    if not made.numel():
        return made
    placed = made.permute(0, *range(len(axes), 0, -1))

    def write(channel: int, start: int, stop: int, slab: Tensor) -> None:
        placed[channel, start:stop] = slab if after is None else after(slab)

    each_slab(volume, axes, order, write, before=before)
    return made


def each_slab(
    volume: Tensor,
    axes: Sequence[Along],
    order: Sequence[int],
    take: Callable[[int, int, int, Tensor], None],
    *,
    before: Change | None = None,
) -> None:
    """Read a volume as `read_along` does, and give it away in parts.

    Args:
        volume: (C, *size) of any type and order in memory, finite where there are weights.
        axes: how each of its spatial axes is read.
        order: which of them each axis of the new grid is.
        take: what is given the channel, the first new voxel of a part along the last axis of the
            new grid, the one behind its last, and the part (n, ..., Y, X) float32; by several
            threads, in any order.
        before: what changes the old voxels, float32, each by itself.
    """
    # from the last axis of the result to its first, as a NIfTI file has them; always the same, so
    # that sums are rounded alike whatever the order of the axes in memory
    spatial = list(reversed(order))
    stored = volume.permute(0, *(axis + 1 for axis in spatial))
    lines = [axes[axis] for axis in spatial]

    def read(channel: int, start: int, stop: int) -> None:
        low, high = lines[0].reach(start, stop)
        part = Along(lines[0].size, picks=lines[0].picked[low:high])
        slab = _picked(stored[channel], [part, *lines[1:]]).to(torch.float32).contiguous()
        if before is not None:
            slab = before(slab)
        weights = lines[0].weights
        first = Along(high - low, None if weights is None else weights[start:stop, low:high])
        take(channel, start, stop, _read(slab, [first, *lines[1:]]))

    slabs = list(_slabs(lines, stored.shape[2:]))
    _do_all(read, [(channel, *slab) for channel in range(len(stored)) for slab in slabs])


def _do_all(work: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> None:
    """Do all calls, several side by side, each with one thread."""
    mode = torch.is_inference_mode_enabled()

    def call(given: tuple[Any, ...]) -> None:
        with torch.inference_mode(mode), torch.no_grad():  # a mode is its thread's own
            work(*given)

    if torch.get_num_threads() == 1 or len(calls) == 1:
        for given in calls:
            call(given)
        return
    with one_thread_each() as workers:
        list(workers.map(call, calls))


def _slabs(lines: Sequence[Along], plane: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of new voxels along the first axis, whose old ones are few enough."""
    number = len(lines[0])
    before, after = float(np.prod(plane)), float(np.prod([len(x) for x in lines[1:]]))
    start = 0
    while start < number:
        stop = start + 1
        while stop < number:
            low, high = lines[0].reach(start, stop + 1)
            if 4 * max((high - low) * before, (stop + 1 - start) * after) > SLAB_BYTES:
                break
            stop += 1
        yield start, stop
        start = stop


def _picked(volume: Tensor, lines: Sequence[Along]) -> Tensor:
    """The old voxels that are read, of the type and the axes that they had."""
    flips = []
    for axis, line in enumerate(lines):
        if (picks := line.picks) is None:
            continue
        low, number = int(picks.min()), len(picks)
        if torch.equal(picks, torch.arange(low, low + number)):
            volume = volume.narrow(axis, low, number)
        elif torch.equal(picks, torch.arange(low + number - 1, low - 1, -1)):
            volume = volume.narrow(axis, low, number)
            flips.append(axis)
        else:
            volume = volume.index_select(axis, picks.to(volume.device))
    return volume.flip(flips) if flips else volume


def _read(slab: Tensor, lines: Sequence[Along]) -> Tensor:
    """Weights along all axes, first the one that shrinks most: the others have less to do."""
    for axis in sorted(range(len(lines)), key=lambda a: len(lines[a]) / slab.shape[a]):
        if (weights := lines[axis].weights) is not None:
            slab = _weighted(slab, lines[axis], weights, axis)
    return slab


def _weighted(slab: Tensor, line: Along, weights: Tensor, axis: int) -> Tensor:
    """Weights times the voxels along an axis, block by block: most weights are 0."""
    weights, number = weights.to(slab.device), len(line)
    outer, inner = slab.shape[:axis].numel(), slab.shape[axis + 1 :].numel()
    voxels = slab.reshape(outer, weights.shape[1], inner)
    made = torch.empty(outer, number, inner, device=slab.device)
    for start in range(0, number, BLOCK):
        stop = min(start + BLOCK, number)
        low, high = line.reach(start, stop)
        block = weights[start:stop, low:high]
        if inner > 1:
            torch.matmul(block, voxels[:, low:high], out=made[:, start:stop])
        else:
            made[:, start:stop, 0] = voxels[:, low:high, 0] @ block.T
    return made.reshape(*slab.shape[:axis], number, *slab.shape[axis + 1 :])
