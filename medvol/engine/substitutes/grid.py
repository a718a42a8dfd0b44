# SPDX-License-Identifier: Apache-2.0
"""A run of stock steps in one pass: turned, resampled, windowed and cast as the voxels are read."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from monai.data import MetaTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import MapTransform
from monai.transforms.utils import allow_missing_keys_mode
from torch import Tensor
from torch.nn.functional import pad

from ...transforms.keys import plain
from ...transforms.separable import Along, Change, read_along

STORED = (torch.float32, torch.int16, torch.uint8, torch.int8)  # types that are read as they are
PICTURE, VOLUME = 3, 4  # numbers of axes, of (C, X, Y) and (C, X, Y, Z)
Item = dict[Hashable, Any]


@dataclass(frozen=True, eq=False)
class Pending:
    """A volume on its way through a chain, whose voxels are read once all steps are known.

    Args:
        image: (C, X, Y, Z) as the steps see it, with its metadata and trace but without voxels: it
            lies on the device "meta".
        stored: (C, *size) as it was given.
        axes: how each spatial axis of `stored` is read.
        order: which of them each axis of `image` is.
        before, after: what changes voxels one by one, before and after they are interpolated.
        owned: `stored` was made on the way, and nobody else looks at it.
    """

    image: MetaTensor
    stored: Tensor
    axes: tuple[Along, ...]
    order: tuple[int, ...]
    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()
    owned: bool = False

    @classmethod
    def of(cls, item: Any) -> "Pending | None":
        """Of a volume or a picture in this machine's memory with its metadata; None of anything
        else."""
        if not isinstance(item, MetaTensor) or item.ndim not in (PICTURE, VOLUME):
            return None
        if item.pending_operations:
            return None
        if not get_track_meta():  # MONAI's switch: it gives tensors without metadata then
            return None
        stored = plain(item)
        if stored.device.type != "cpu" or stored.dtype not in STORED or not stored.numel():
            return None
        return cls.begun(stored, empty(stored.shape, item))

    @classmethod
    def begun(cls, stored: Tensor, image: MetaTensor, *, owned: bool = False) -> "Pending":
        """Of voxels that no step has moved.

        Args:
            stored: (C, X, Y, Z), of a type of `STORED`.
            image: the same shape, without voxels.
            owned: nobody else looks at `stored`.
        """
        axes = tuple(map(Along, stored.shape[1:]))
        return cls(image, stored, axes, tuple(range(len(axes))), owned=owned)

    @property
    def interpolated(self) -> bool:
        """Voxels are weighted sums of those that are stored."""
        return any(axis.weights is not None for axis in self.axes)

    @property
    def as_it_is(self) -> bool:
        """Voxels as the steps see them are just those that are stored."""
        moved = any(len(axis) != axis.size or axis.picks is not None for axis in self.axes)
        changed = self.interpolated or self.before or self.after or moved
        in_order = self.order == tuple(range(len(self.axes))) and self.stored.is_contiguous()
        return not changed and in_order and self.stored.dtype == torch.float32

    @property
    def finite(self) -> bool:
        """No stored voxel is infinite or not a number, which weights of 0 would spread."""
        given = self.stored
        return not given.is_floating_point() or bool(given.sum(dtype=torch.float64).isfinite())

    def turned(self, image: MetaTensor, order: Sequence[int], flips: Sequence[bool]) -> "Pending":
        """With other axes.

        Args:
            image: (C, X, Y, Z) that the steps see then, without voxels.
            order: which of the axes so far each is.
            flips: whether it runs backwards, for each of the new axes.
        """
        axes, of = list(self.axes), [self.order[axis] for axis in order]
        for axis, flip in zip(of, flips, strict=True):
            axes[axis] = axes[axis].flipped() if flip else axes[axis]
        return replace(self, image=image, axes=tuple(axes), order=tuple(of))

    def resampled(
        self, image: MetaTensor, lines: Sequence[Along], order: Sequence[int]
    ) -> "Pending":
        """On another grid.

        Args:
            image: (C, X, Y, Z) that the steps see then, without voxels.
            lines: how each axis so far is read.
            order: which of them each of the new axes is.
        """
        if self.interpolated and any(line.weights is not None for line in lines):
            return self.begun(self.voxels(), self.image, owned=True).resampled(image, lines, order)
        axes = list(self.axes)
        for axis, line in zip(self.order, lines, strict=True):
            axes[axis] = line.after(axes[axis])
        return replace(
            self, image=image, axes=tuple(axes), order=tuple(self.order[axis] for axis in order)
        )

    def boxed(self, image: MetaTensor, start: Sequence[int], stop: Sequence[int]) -> "Pending":
        """A box of it, zeros where that reaches beyond.

        Args:
            image: (C, X, Y, Z) that the steps see then, without voxels.
            start, stop: its first voxel along each axis, and the one behind its last.
        """
        sizes, axes, beyond = self.image.shape[1:], list(self.axes), list[int]()
        for axis, size, low, high in zip(self.order, sizes, start, stop, strict=True):
            axes[axis] = axes[axis][max(int(low), 0) : max(int(high), 0)]
            beyond = [max(-int(low), 0), max(int(high) - size, 0), *beyond]
        inside = replace(self, image=image, axes=tuple(axes))
        if not any(beyond):
            return inside
        return self.begun(pad(inside.voxels(), beyond), image, owned=True)

    def changed(self, change: Change) -> "Pending":
        """With voxels that are changed one by one."""
        if self.interpolated:
            return replace(self, after=(*self.after, change))
        return replace(self, before=(*self.before, change))

    def voxels(self) -> Tensor:
        """The volume, (C, X, Y, Z) float32, which is nobody else's."""
        if self.owned and self.as_it_is:
            return self.stored
        return read_along(
            self.stored, self.axes, self.order,
            before=together(self.before), after=together(self.after),
        )  # fmt: skip

    def read(self) -> MetaTensor:
        """The volume, (C, X, Y, Z) float32, with its metadata and trace."""
        made: MetaTensor = MetaTensor(self.voxels()).copy_meta_from(self.image)
        return made


def empty(shape: Sequence[int], like: MetaTensor) -> MetaTensor:
    """An image without voxels, of any shape.

    Args:
        shape: of it.
        like: any shape; its metadata and trace.
    """
    image: MetaTensor = MetaTensor(torch.empty(tuple(shape), device="meta"))
    return image.copy_meta_from(like)


# What a step does to the pending volumes of its keys, given all items of the data, to which it may
# add; None where only the step itself can do it.
Act = Callable[[Mapping[Hashable, Pending], Item], Mapping[Hashable, Pending] | None]


@dataclass(frozen=True)
class Known:
    """A stock step that a pass knows.

    Args:
        act: what it does to volumes that are pending.
        as_it_stands: it runs as it stands on volumes as stored, and copies nothing.
        casts: to what is read anyway, and nothing else.
        gains: it looks at all voxels: worth a pass.
        moves: it moves voxels, those of volumes only: worth a pass.
    """

    act: Act | None = None
    as_it_stands: bool = False
    casts: bool = False
    gains: bool = False
    moves: bool = False


class OnePassd(MapTransform, InvertibleTransform):
    """Equal to some steps one after the other; reads each item once, in slabs.

    What a step does is asked of the step itself, on images without voxels: so its metadata and its
    trace are the step's own, and its own inverse undoes it. A volume that it does not know goes
    through the steps.

    Args:
        steps: that it stands for, each with its keys and what is known of it.
    """

    takes_any_dtype = True

    def __init__(self, steps: Sequence[tuple[Any, Sequence[Hashable], Known]]) -> None:
        self.steps = list(steps)
        super().__init__(tuple(dict.fromkeys(key for _, keys, _ in steps for key in keys)))

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        result, pending = dict(data), dict[Hashable, Pending]()
        for step, keys, known in self.steps:
            if known.as_it_stands and not pending.keys() & set(keys):
                result = dict(step(result))
            elif known.casts and all(isinstance(result.get(key), MetaTensor) for key in keys):
                continue
            elif made := self._acted(known, keys, pending, result):
                pending |= made
            else:
                waiting = {key: pending.pop(key, None) for key in keys}
                result |= _read(waiting, result)
                result = dict(step(result))
        return result | _read({key: pending.get(key) for key in self.keys}, result)

    def inverse(self, data: Mapping[Hashable, Any]) -> Item:
        """Undo the steps, the last one first, as MONAI undoes a chain of them.

        Args:
            data: with the items' traces.
        """
        result = dict(data)
        steps = [step for step, _, _ in self.steps if isinstance(step, InvertibleTransform)]
        missing = allow_missing_keys_mode(steps) if self.allow_missing_keys else nullcontext()
        with missing:  # as `Invertd` asks for, which knows this step alone
            for step in reversed(steps):
                result = dict(step.inverse(result))
        return result

    @staticmethod
    def _acted(
        known: Known,
        keys: Sequence[Hashable],
        pending: Mapping[Hashable, Pending],
        data: Item,
    ) -> Mapping[Hashable, Pending] | None:
        """What becomes of the volumes of a step; None where only the step itself can do it."""
        given = {}
        for key in keys:
            one = pending.get(key) or Pending.of(data.get(key))
            if one is None or (known.moves and one.image.ndim != VOLUME):
                return None
            given[key] = one
        return known.act(given, data) if known.act else None


def _read(pending: Mapping[Hashable, Pending | None], data: Item) -> Item:
    """Items as a step expects them; what never was pending may be as it was stored."""
    found: Item = {}
    for key, one in pending.items():
        item = data.get(key)
        if one is not None:
            found[key] = one.read()
        elif isinstance(item, Tensor) and not item.is_floating_point():
            found[key] = item.to(torch.float32)
    return found


def together(changes: Sequence[Change]) -> Change | None:
    """One change after the other."""
    return (lambda voxels: reduce(lambda so_far, change: change(so_far), changes, voxels)) if (
        changes
    ) else None  # fmt: skip
