# SPDX-License-Identifier: Apache-2.0
"""Steps that change voxels one by one, done where they are read; and casts to what they are."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from monai.transforms import (
    CastToTyped,
    EnsureTyped,
    ScaleIntensityRanged,
)
from monai.utils import get_equivalent_dtype
from torch import Tensor

from ...transforms.keys import ItemTransform, plain
from .grid import Item, Known, Pending


def each_by_itself(change: Callable[[Tensor], Any]) -> Known:
    """Voxels are changed one by one, from float32 to float32."""

    def act(pending: Mapping[Hashable, Pending], _data: Item) -> Mapping[Hashable, Pending]:
        return {
            key: one.changed(lambda voxels: plain(change(voxels))) for key, one in pending.items()
        }

    return Known(act)


def scaled(step: ScaleIntensityRanged) -> Known | None:
    """`ScaleIntensityRanged` to float32."""
    return each_by_itself(step.scaler) if is_float32(step.scaler.dtype) else None


def ours(step: ItemTransform) -> Known:
    """medvol's `PaddingToAird` and `WindowHUd`, which change all their items alike."""
    return each_by_itself(lambda voxels: step.change(voxels, step.keys[0], {}))


def typed(step: EnsureTyped | CastToTyped) -> Known | None:
    """A cast to float32 in this machine's memory: what is read is that already."""
    if not all(dtype is None or is_float32(dtype) for dtype in step.dtype):
        return None
    if type(step) is EnsureTyped:
        converter = step.converter
        here = converter.device is None or torch.device(converter.device).type == "cpu"
        if converter.data_type != "tensor" or not converter.track_meta or not here:
            return None
        if converter.dtype is not None and not is_float32(converter.dtype):
            return None
    return Known(casts=True)


def is_float32(dtype: Any) -> bool:
    """Whether a type, as MONAI's steps name it, is float32."""
    return dtype is not None and get_equivalent_dtype(dtype, torch.Tensor) == torch.float32
