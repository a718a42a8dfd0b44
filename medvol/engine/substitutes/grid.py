# SPDX-License-Identifier: Apache-2.0
"""A run of stock steps in one pass: turned, resampled, windowed and cast as the voxels are read."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms.transform import MapTransform
from torch import Tensor

from ...transforms.keys import plain
from ...transforms.separable import Along, Change, read_along

STORED = (torch.float32, torch.int16, torch.uint8, torch.int8)  # types that are read as they are
NDIM = 4  # (C, X, Y, Z)
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
    """

    image: MetaTensor
    stored: Tensor
    axes: tuple[Along, ...]
    order: tuple[int, ...]
    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()

    @classmethod
    def of(cls, item: Any) -> "Pending | None":
        """Of a volume in this machine's memory with its metadata; None of anything else."""
        if not isinstance(item, MetaTensor) or item.ndim != NDIM or item.pending_operations:
            return None
        stored = plain(item)
        if stored.device.type != "cpu" or stored.dtype not in STORED or not stored.numel():
            return None
        return cls.begun(item)

    @classmethod
    def begun(cls, item: MetaTensor) -> "Pending":
        """Of a volume that `of` would take, such as one that was read; (C, X, Y, Z) float32."""
        stored = plain(item)
        axes = tuple(map(Along, stored.shape[1:]))
        return cls(empty(stored.shape, item), stored, axes, tuple(range(NDIM - 1)))

    @property
    def interpolated(self) -> bool:
        """Voxels are weighted sums of those that are stored."""
        return any(axis.weights is not None for axis in self.axes)

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
            return Pending.begun(self.read()).resampled(image, lines, order)
        axes = list(self.axes)
        for axis, line in zip(self.order, lines, strict=True):
            axes[axis] = line.after(axes[axis])
        return replace(
            self, image=image, axes=tuple(axes), order=tuple(self.order[axis] for axis in order)
        )

    def changed(self, change: Change) -> "Pending":
        """With voxels that are changed one by one."""
        if self.interpolated:
            return replace(self, after=(*self.after, change))
        return replace(self, before=(*self.before, change))

    def read(self) -> MetaTensor:
        """The volume, (C, X, Y, Z) float32."""
        values = read_along(
            self.stored, self.axes, self.order,
            before=_together(self.before), after=_together(self.after),
        )  # fmt: skip
        return MetaTensor(values).copy_meta_from(self.image)


def empty(shape: Sequence[int], like: MetaTensor) -> MetaTensor:
    """An image without voxels, of any shape.

    Args:
        shape: of it.
        like: any shape; its metadata and trace.
    """
    image: MetaTensor = MetaTensor(torch.empty(tuple(shape), device="meta"))
    return image.copy_meta_from(like)


# What a step does to a pending volume, given all items of the data; None where only the step itself
# can do it.
Act = Callable[[Pending, Item, Hashable], Pending | None]


@dataclass(frozen=True)
class Known:
    """A stock step that a pass knows.

    Args:
        act: what it does to a volume that is pending.
        as_it_stands: it runs as it stands on the volume as stored, and copies nothing.
        casts: to what is read anyway, and nothing else.
        moves: it turns or resamples: worth a pass.
    """

    act: Act | None = None
    as_it_stands: bool = False
    casts: bool = False
    moves: bool = False


class OnePassd(MapTransform):
    """Equal to some steps one after the other on one item; reads it once, in slabs.

    What a step does is asked of the step itself, on an image without voxels: so its metadata and
    its trace are the step's own. A volume that it does not know goes through the steps.

    Args:
        key: of the item.
        steps: that it stands for, each with what is known of it.
    """

    takes_any_dtype = True

    def __init__(self, key: Hashable, steps: Sequence[tuple[Any, Known]]) -> None:
        super().__init__(key)
        self.key = key
        self.steps = list(steps)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        result, pending = dict(data), None
        for step, known in self.steps:
            item = result.get(self.key)
            if pending is None and known.as_it_stands:
                result = dict(step(result))
            elif pending is None and known.casts and isinstance(item, MetaTensor):
                continue
            else:
                now = pending or Pending.of(item)
                pending = known.act(now, result, self.key) if now and known.act else None
                if pending is None:
                    result |= self._read(now, result)
                    result = dict(step(result))
        return result | self._read(pending, result)

    def _read(self, pending: Pending | None, data: Item) -> Item:
        """The item as a step expects it; what never was pending may be as it was stored."""
        item = data.get(self.key)
        if pending is not None:
            return {self.key: pending.read()}
        if not isinstance(item, Tensor) or item.is_floating_point():
            return {}
        return {self.key: item.to(torch.float32)}


def _together(changes: Sequence[Change]) -> Change | None:
    """One change after the other."""
    return (lambda voxels: reduce(lambda so_far, change: change(so_far), changes, voxels)) if (
        changes
    ) else None  # fmt: skip
