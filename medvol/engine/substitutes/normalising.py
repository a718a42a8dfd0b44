# SPDX-License-Identifier: Apache-2.0
"""`NormalizeIntensityd` in place, without copies of the voxels that are not 0."""

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from monai.transforms import NormalizeIntensityd
from torch import Tensor

from .grid import Item, Known, Pending
from .intensity import is_float32

PART = 1 << 18  # voxels at once, which a core's cache holds also as float64

Number = float | None  # None: of the voxels themselves


def normalised(step: NormalizeIntensityd) -> Known | None:
    """`NormalizeIntensityd` to float32 by numbers, by those of each channel, or by its voxels."""
    one = step.normalizer
    given = one.subtrahend, one.divisor
    usual = _are_numbers if one.channel_wise else _is_number
    if not is_float32(one.dtype) or not all(x is None or usual(x) for x in given):
        return None

    def act(pending: Mapping[Hashable, Pending], _data: Item) -> Mapping[Hashable, Pending] | None:
        lengths = {len(x) for x in given if x is not None} if one.channel_wise else set()
        if any(lengths - {len(volume.stored)} for volume in pending.values()):
            return None  # MONAI says what is wrong
        return {key: made(volume) for key, volume in pending.items()}

    def made(pending: Pending) -> Pending:
        voxels = pending.voxels()
        parts = list(voxels) if one.channel_wise else [voxels]
        each = [[None] * len(parts) if x is None else x if one.channel_wise else [x] for x in given]
        for part, subtrahend, divisor in zip(parts, *each, strict=True):
            normalise_(part, subtrahend, divisor, nonzero=one.nonzero)
        return Pending.begun(voxels, pending.image, owned=True)

    return Known(act, gains=True)


def normalise_(
    voxels: Tensor, subtrahend: Number, divisor: Number, *, nonzero: bool = False
) -> Tensor:
    """Subtract and divide, in place.

    Args:
        voxels: float32, any shape, contiguous.
        subtrahend: None for the mean.
        divisor: None for the standard deviation; instead of 0 it is 1.
        nonzero: voxels of 0 stay, and mean and deviation are those of the others.

    Returns:
        the voxels, the same shape.

    Example:
        >>> import torch
        >>> normalise_(torch.tensor([0.0, 1.0, 3.0]), None, None, nonzero=True).tolist()
        [0.0, -1.0, 1.0]
    """
    mean, deviation = subtrahend, divisor
    if mean is None or deviation is None:
        found = _of_nonzero(voxels) if nonzero else _of_all(voxels)
        mean, deviation = (
            found[n] if x is None else x for n, x in enumerate((subtrahend, divisor))
        )
    deviation = 1.0 if deviation == 0 else deviation
    for part in voxels.view(-1).split(PART):
        zeros = part == 0 if nonzero else None
        part.sub_(float(mean)).div_(float(deviation))
        if zeros is not None:
            part.masked_fill_(zeros, 0)
    return voxels


def _of_all(voxels: Tensor) -> tuple[float, float]:
    """Mean and standard deviation."""
    return voxels.mean().item(), voxels.std(unbiased=False).item()


def _of_nonzero(voxels: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of those that are not 0; of none they do not matter."""
    number, total, squares, middle = 0, 0.0, 0.0, None
    for part in voxels.view(-1).split(PART):
        inside = part != 0
        here = int(inside.count_nonzero())
        if here and middle is None:  # from one of them, so that equal ones have no spread at all
            middle = part[inside][0].item()
        if here and middle is not None:
            offsets = part.double().sub_(middle).mul_(inside)
            number += here
            total += offsets.sum().item()
            squares += offsets.dot(offsets).item()
    if middle is None:
        return 0.0, 1.0
    mean = total / number
    return middle + mean, float(np.sqrt(max(squares / number - mean**2, 0.0)))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def _are_numbers(values: Any) -> bool:
    is_line = isinstance(values, Sequence) or (isinstance(values, np.ndarray) and values.ndim == 1)
    return is_line and all(map(_is_number, values))
