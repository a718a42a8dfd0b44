# SPDX-License-Identifier: Apache-2.0
"""`CropForegroundd` of what is not interpolated yet: only the voxels of the box are read at all.

Behind a step that interpolates, which voxels are foreground is known once all are computed, and a
rounding error may decide; there the step runs as it stands.
"""

from collections.abc import Callable, Hashable, Mapping
from copy import copy
from inspect import CO_NESTED
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import CropForeground, CropForegroundd
from monai.transforms.utils import is_positive
from monai.utils import ensure_tuple_rep
from torch import Tensor

from ...transforms.separable import each_slab
from .grid import Item, Known, Pending, together

Corner = npt.NDArray[np.integer[Any]]


def cropped(step: CropForegroundd) -> Known | None:
    """`CropForegroundd` by a threshold, with zeros where a margin reaches beyond the volume."""
    crop = step.cropper
    threshold = threshold_of(crop.select_fn)
    zeros = set(step.mode) == {"constant"} and not crop.padder.kwargs
    if threshold is None or step.source_key not in step.keys or not zeros:
        return None

    def act(pending: Mapping[Hashable, Pending], data: Item) -> Mapping[Hashable, Pending] | None:
        source = pending[step.source_key]
        found = None if source.interpolated else _foreground(source, threshold, crop)
        if found is None:
            return None
        start, stop = _box(crop, found)
        coordinates = {step.start_coord_key: start, step.end_coord_key: stop}
        data |= {name: value for name, value in coordinates.items() if name is not None}
        return {
            key: one.boxed(crop.crop_pad(one.image, start, stop), start.tolist(), stop.tolist())
            for key, one in pending.items()
        }

    return Known(act, moves=True)


def threshold_of(select: Callable[..., Any]) -> float | None:
    """Above which number a function selects voxels; None where it is not known to do just that.

    Args:
        select: MONAI's `is_positive`, or a function of one expression that compares its argument
            with a number, told by its compiled code.

    Example:
        >>> threshold_of(is_positive), threshold_of(lambda x: x > -900), threshold_of(abs)
        (0, -900, None)
    """
    if select is is_positive:
        return 0
    code = getattr(select, "__code__", None)
    if not isinstance(code, CodeType) or hasattr(select, "__self__"):
        return None
    numbers = [x for x in (0, *code.co_consts) if type(x) in (int, float)]
    return next((number for number in numbers if _alike(code, number)), None)


def _alike(code: CodeType, number: float) -> bool:
    """Whether a function is compiled to what a comparison of its argument with a number is."""
    model = compile(f"lambda x: x > {number!r}", "", "eval").co_consts[0]
    parts = ("co_code", "co_consts", "co_argcount", "co_kwonlyargcount", "co_freevars")
    plain = (code.co_flags | CO_NESTED) == (model.co_flags | CO_NESTED)
    return plain and all(getattr(code, part) == getattr(model, part) for part in parts)


def _foreground(source: Pending, threshold: float, crop: CropForeground) -> list[Tensor] | None:
    """Of each axis, as the steps see it, which voxels hold foreground; None where none do."""
    stored = source.stored
    if crop.channel_indices is not None:
        stored = stored[list(crop.channel_indices)]
    last = np.zeros((len(stored), source.image.shape[-1]), bool)
    planes = list[Any]()

    def look(channel: int, start: int, stop: int, slab: Tensor) -> None:
        inside = (
            slab > threshold
        ).numpy()  # of bytes NumPy finds any twenty times as fast as torch
        last[channel, start:stop] = inside.reshape(len(inside), -1).any(1)
        planes.append(inside.any(0))

    each_slab(stored, source.axes, source.order, look, before=together(source.before))
    plane = np.any(planes, axis=0)  # (Y, X)
    lines = [plane.any(0), plane.any(1), last.any(0)]
    return [torch.from_numpy(line) for line in lines] if plane.any() else None


def _box(crop: CropForeground, found: list[Tensor]) -> tuple[Corner, Corner]:
    """First voxel of the box and the one behind its last, along each axis: MONAI is asked."""
    ends = []
    margins, steps = (ensure_tuple_rep(x, len(found)) for x in (crop.margin, crop.k_divisible))
    for line, margin, step in zip(found, margins, steps, strict=True):
        one = copy(crop)
        one.select_fn, one.channel_indices = torch.Tensor.bool, None
        one.margin, one.k_divisible = margin, step
        ends.append(one.compute_bounding_box(line[None]))
    starts, stops = zip(*ends, strict=True)
    return np.concatenate(starts), np.concatenate(stops)
