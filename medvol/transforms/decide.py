# SPDX-License-Identifier: Apache-2.0
"""From scores on a network's grid to labels on another grid, never all classes at full size.

Interpolating every class and then taking the best is what is meant; most of it need not be done.
Interpolation only mixes neighbours, so where one class is the best of all neighbours it is the best
between them too. The volume is therefore cut into blocks; only those in which several classes can
win are interpolated, and of these classes only: what is made of some neighbours lies between their
least and their most, so a class that is nowhere above the least of another cannot win.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..pages import zeros_in_own_memory
from .axis_maps import AxisMaps, Matrix

BLOCK = 16  # voxels of the network's grid along an edge of a block
MOST = 40  # voxels of the other grid along an edge of a block
BYTE = 256  # labels that a byte holds
NOT_FINITE = "the network gave scores that are not finite; check its weights"


@dataclass(frozen=True)
class Decision:
    """How scores become labels.

    Args:
        activation: "softmax", "sigmoid" or "none", applied before interpolation.
        threshold: from which on a class is marked, each by itself, above 0; None: the best class of
            all, the first one among equals.
        surely_background: what lies beyond the network's grid is class 0 for certain, so that it
            takes part in interpolation; else it has no score in any class.
    """

    activation: str = "none"
    threshold: float | None = None
    surely_background: bool = False

    def scores(self, values: Tensor) -> Tensor:
        """What is interpolated, (C, *spatial)."""
        if self.activation == "softmax":
            values = values.softmax(0)
        elif self.activation == "sigmoid":
            values = values.sigmoid()
        return values

    def marks(self, values: Tensor) -> Tensor:
        """Labels (1, *spatial), or marks (C, *spatial), on the network's own grid."""
        if self.threshold is not None:
            return (self.scores(values) >= self.threshold).to(torch.uint8)
        if self.activation == "sigmoid":  # which makes large scores equal
            values = self.scores(values)
        if len(values) == 2:
            return (values[1:] > values[:1]).to(torch.uint8)
        return best_of(values, range(len(values)))


def _kind(classes: int) -> torch.dtype:
    return torch.uint8 if classes <= BYTE else torch.int32


class Span(NamedTuple):
    """Neighbouring voxels of an axis, and those that they are made of.

    Args:
        made: of the grid that is made.
        of: of the network's grid.
        weights: (n made, n of) float32.
        whole: whether the weights of each voxel sum to 1.
        reach: neighbours that a voxel is made of, at most.
    """

    made: slice
    of: slice
    weights: Tensor
    whole: bool
    reach: int


Spans = tuple[Span, Span, Span]


class Block(NamedTuple):
    """A part of the network's grid from which a part of the other is made.

    Args:
        planes: scores (C, 1, Y, Z) each, that follow each other.
        marks: labels (1, n, y, z) or marks (C, n, y, z) of its voxels.
        inside: of all planes, what it has.
        spans: along each axis.
        decision: how scores become labels.
    """

    planes: Sequence[Tensor]
    marks: Tensor
    inside: tuple[slice, ...]
    spans: Spans
    decision: Decision

    @property
    def rim(self) -> bool:
        """Whether some of what is made lies beyond the network's grid, and is background there."""
        return self.decision.surely_background and not all(span.whole for span in self.spans)

    def scores(self) -> Tensor:
        """What is interpolated, (C, n, y, z)."""
        given = torch.cat([plane[self.inside] for plane in self.planes], 1)
        return self.decision.scores(given)


class Workspace:
    """Memory that is used again and again: to be given new memory takes longer than to fill it."""

    def __init__(self) -> None:
        self.held: list[Tensor] = []
        self.taken = 0

    def of(self, like: Tensor, *shape: int) -> Tensor:
        """Room for a tensor of this shape, of the type of another."""
        size = math.prod(shape)
        if self.taken == len(self.held):
            self.held.append(like.new_empty(0))
        if self.held[self.taken].numel() < size:
            self.held[self.taken] = like.new_empty(size)
        self.taken += 1
        return self.held[self.taken - 1][:size].view(shape)

    def clear(self) -> None:
        """Use it again from its start."""
        self.taken = 0


def labels_of(planes: Iterable[Tensor], maps: AxisMaps, decision: Decision) -> Tensor:
    """Labels on a grid, of scores on the grid of a network.

    Args:
        planes: scores (C, n, Y, Z), one after the other along the network's first axis.
        maps: from the network's grid to the one wanted.
        decision: how scores become labels.

    Returns:
        Labels (1, *shape of the maps), or marks (C, *shape); uint8, labels above 255 int32.

    Raises:
        ValueError: scores that are not finite numbers.
    """
    return (_picked if maps.picks else _interpolated)(_checked(planes), maps, decision)


def _checked(planes: Iterable[Tensor]) -> Iterator[Tensor]:
    for plane in planes:
        least, most = _told_apart(plane).aminmax()
        if not torch.isfinite(most - least):
            raise ValueError(NOT_FINITE)
        yield plane


def _told_apart(plane: Tensor) -> Tensor:
    """The scores; of a plane that is one voxel seen many times, as beyond a gate, this one."""
    return plane if any(plane.stride()[1:]) else plane[:, :1, :1, :1]


def _marks(plane: Tensor, decision: Decision) -> Tensor:
    marks = decision.marks(_told_apart(plane))
    return marks.expand(len(marks), *plane.shape[1:])


def _picked(planes: Iterable[Tensor], maps: AxisMaps, decision: Decision) -> Tensor:
    """Where nothing is interpolated it is decided on the network's grid."""
    marks = torch.cat([_marks(plane, decision) for plane in planes], 1).cpu()
    view, out = _empty(len(marks), maps, marks.dtype)
    if marks.any():
        held = [np.flatnonzero(matrix.any(axis=1)) for matrix in maps.by_source()]
        for axis, (rows, matrix) in enumerate(zip(held, maps.by_source(), strict=True)):
            places = torch.from_numpy(matrix[rows].argmax(axis=1))
            marks = marks.index_select(axis + 1, places)
        boxes = [slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0) for rows in held]
        view[:, boxes[0], boxes[1], boxes[2]] = marks
    return out


def _empty(
    channels: int, maps: AxisMaps, kind: torch.dtype, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Zeros on the grid, as the network's axes see them, and in their own order.

    In memory they lie as a NIfTI file has them, the first axis runs fastest: writing copies them as
    they stand.
    """
    out = zeros_in_own_memory((channels, *reversed(maps.shape)), kind, device).permute(0, 3, 2, 1)
    order = [0, *(int(axis) + 1 for axis in np.argsort(maps.sources))]
    return out.permute(order), out


def _interpolated(planes: Iterable[Tensor], maps: AxisMaps, decision: Decision) -> Tensor:
    first, *across = (_spans(matrix) for matrix in maps.by_source())
    first.sort(key=lambda span: span.of.stop)
    view = out = torch.empty(0)
    workspace, threshold, on_cpu = Workspace(), decision.threshold, True
    for span, scores, marks in _slabs(planes, first, decision):
        if out.numel() == 0:
            view, out = _empty(len(marks), maps, marks.dtype, marks.device)
            if not (on_cpu := marks.device.type == "cpu"):
                across = [[_whole(matrix, marks.device)] for matrix in maps.by_source()[1:]]
        for y, z in _blocks(marks, across):
            inside = np.s_[:, :, y.of, z.of]
            block = Block(scores, marks[inside], inside, (span, y, z), decision)
            if threshold is not None:
                made = _above(block, threshold, workspace)
            else:
                made = _best_of(block, workspace) if on_cpu else _best_of_all(block, workspace)
            view[:, span.made, y.made, z.made] = made
    return out.cpu()


def _whole(matrix: Matrix, device: torch.device) -> Span:
    """An axis in one piece. A GPU interpolates all classes in all voxels sooner than it says which
    could be left out."""
    made, of = (slice(0, n) for n in matrix.shape)
    weights = torch.from_numpy(matrix.astype(np.float32)).to(device)
    return Span(made, of, weights, bool(np.allclose(matrix.sum(axis=1), 1)), 0)


def _spans(matrix: Matrix) -> list[Span]:
    """An axis in pieces of at most `BLOCK` and `MOST` voxels; what nothing reaches is left out."""
    reached = matrix != 0
    rows = np.flatnonzero(reached.any(axis=1))
    low = reached.argmax(axis=1)
    high = matrix.shape[1] - reached[:, ::-1].argmax(axis=1)
    found, start = [], 0
    for at in range(1, len(rows) + 1):
        piece = rows[start : at + 1]
        full = at == len(rows) or piece[-1] - piece[0] >= MOST or piece[-1] - piece[-2] > 1
        if full or high[piece].max() - low[piece].min() > BLOCK + 1:
            made, start = slice(int(rows[start]), int(rows[at - 1]) + 1), at
            of = slice(int(low[made].min()), int(high[made].max()))
            whole = bool(np.allclose(matrix[made].sum(axis=1), 1))
            weights = torch.from_numpy(matrix[made, of].astype(np.float32))
            found.append(Span(made, of, weights, whole, int((high[made] - low[made]).max())))
    return found


def _slabs(
    planes: Iterable[Tensor], spans: Sequence[Span], decision: Decision
) -> Iterator[tuple[Span, list[Tensor], Tensor]]:
    """Each span of the first axis with its planes of scores and its marks, as soon as they are
    there."""
    scores: list[Tensor] = []
    marks: list[Tensor] = []
    start = stop = done = 0
    for plane in planes:
        scores += plane.split(1, 1)
        marks += _marks(plane, decision).split(1, 1)
        stop += plane.shape[1]
        while done < len(spans) and spans[done].of.stop <= stop:
            span = spans[done]
            here = slice(span.of.start - start, span.of.stop - start)
            done += 1
            yield span, scores[here], torch.cat(marks[here], 1)
        needed = min((span.of.start for span in spans[done:]), default=stop)
        drop = min(needed, stop) - start
        del scores[:drop], marks[:drop]
        start += drop


def _blocks(marks: Tensor, across: Sequence[Sequence[Span]]) -> Iterator[tuple[Span, Span]]:
    """Where not all is unmarked."""
    seen = marks.flatten(0, 1).any(0).cpu().numpy()
    for y in across[0]:
        column = np.logical_or.reduce(seen[y.of])
        if column.any():
            yield from ((y, z) for z in across[1] if column[z.of].any())


def _best_of(block: Block, workspace: Workspace) -> Tensor:
    """Labels (1, *made) of one block, or one for all of it."""
    marks, spans = block.marks, block.spans
    rim = block.rim
    least, most = marks.aminmax()
    if least == most and not (rim and most):
        return most
    scores = block.scores()
    able = _able(scores, spans)
    able[0] |= rim
    labels = able.nonzero()[:, 0]
    values = scores[labels]
    if pair := len(labels) == 2:  # the better of two by the sign of their difference
        values = values[1:] - values[:1]
    values = _mixed(values, spans, workspace)
    if rim:
        values[0] += -_beyond(spans, values) if pair else _beyond(spans, values)
    first, *others = labels.tolist()
    if pair:
        return (values > 0).to(marks.dtype).mul_(others[0] - first).add_(first)
    return best_of(values, [first, *others])


def _best_of_all(block: Block, workspace: Workspace) -> Tensor:
    """The same, of all classes one by one: of their values no more than two are held."""
    values, spans = block.scores(), block.spans
    if pair := len(values) == 2:  # as above
        values = values[1:] - values[:1]
    first, *others = values.split(1)
    best = _mixed(first, spans, workspace).clone()
    if block.rim:
        best += -_beyond(spans, best) if pair else _beyond(spans, best)
    if pair:
        return (best > 0).to(block.marks.dtype)
    winner = torch.zeros_like(best, dtype=block.marks.dtype)
    for label, value in enumerate(others, 1):
        mixed = _mixed(value, spans, workspace)
        winner.masked_fill_(mixed > best, label)
        torch.maximum(best, mixed, out=best)
    return winner


def _beyond(spans: Spans, like: Tensor) -> Tensor:
    """How much of each voxel (1, *made) lies beyond the network's grid."""
    x, y, z = (span.weights.sum(1).to(like) for span in spans)
    return 1 - x[:, None, None] * y[:, None] * z


def _able(scores: Tensor, spans: Spans) -> Tensor:
    """Which classes (C,) bool may be the best somewhere between voxels of a block (C, n, y, z).

    What is made lies between the least and the most of the voxels that it is made of. A class whose
    most is everywhere below the least of another cannot win.
    """
    most = least = scores
    for axis, span in enumerate(spans, 1):
        size = scores.shape[axis] - span.reach + 1
        most, least = (
            reduce(pick, (values.narrow(axis, at, size) for at in range(span.reach)))
            for pick, values in ((torch.maximum, most), (torch.minimum, least))
        )
    return (most >= least.amax(0)).flatten(1).any(1)


def best_of(values: Tensor, labels: Sequence[int]) -> Tensor:
    """The label of the largest of values, of the first among equals.

    Equal to `argmax`, and several times as fast.

    Args:
        values: (n, *spatial).
        labels: of each of them, growing.

    Returns:
        (1, *spatial), uint8, or int32 for labels above 255.
    """
    kind = _kind(labels[-1] + 1)
    winner = torch.full(values.shape[1:], labels[0], dtype=kind, device=values.device)
    best = values[0].clone()
    for label, value in zip(labels[1:], values[1:], strict=True):
        better = torch.gt(value, best).to(kind)
        torch.maximum(winner, better.mul_(label), out=winner)  # a later one has a larger label
        torch.maximum(best, value, out=best)
    return winner[None]


def _above(block: Block, threshold: float, workspace: Workspace) -> Tensor:
    """Marks (C, *made) where the scores reach the threshold."""
    marks, spans, scores = block.marks, block.spans, block.scores()
    made = marks.new_zeros((len(marks), *(len(span.weights) for span in spans)))
    whole = all(span.whole for span in spans)
    for channel, (score, mark) in enumerate(zip(scores, marks, strict=True)):
        least, most = mark.aminmax()
        if least == most and (whole or not most):
            made[channel] = most
        else:
            made[channel] = _mixed(score[None], spans, workspace)[0] >= threshold
    return made


def _mixed(values: Tensor, spans: Spans, workspace: Workspace) -> Tensor:
    """Values (n, *made) of values (n, *of); good until the workspace is used again."""
    x, y, z = (span.weights.to(values) for span in spans)
    n, of_x, of_y, _ = values.shape
    lines = torch.matmul(values, z.T, out=workspace.of(values, n, of_x, of_y, len(z)))
    sheets = torch.matmul(y, lines, out=workspace.of(values, n, of_x, len(y), len(z)))
    whole = torch.matmul(x, sheets.flatten(2), out=workspace.of(values, n, len(x), len(y) * len(z)))
    workspace.clear()
    return whole.view(n, len(x), len(y), len(z))
