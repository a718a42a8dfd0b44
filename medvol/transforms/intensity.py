# SPDX-License-Identifier: Apache-2.0
"""Hounsfield windows: from HU to [0, 1]."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from monai.config import KeysCollection
from torch import Tensor

from .keys import ItemTransform

Window = tuple[float, float]  # lowest and highest HU shown
AIR_HU = -1000.0
PADDING_BELOW_HU = -1500.0  # noise does not come so far; padding is -2000, -3024 or -32768
LUNG_WINDOW_HU: Window = (-1350.0, 150.0)  # level -600, width 1500

Volume = TypeVar("Volume", torch.Tensor, np.ndarray[Any, Any])


def window_hu(volume: Volume, window: Window) -> Volume:
    """Scale `window` to [0, 1] and clip what lies outside.

    Args:
        volume: HU, any shape.
        window: (low, high) in HU.

    Returns:
        (volume - low) / (high - low), clipped; same shape and kind, float32 for float32.

    Raises:
        ValueError: low is not below high.

    Example:
        >>> window_hu(np.array([-2000.0, -600.0, 150.0]), LUNG_WINDOW_HU).tolist()
        [0.0, 0.5, 1.0]
    """
    low, high = window
    if not low < high:
        raise ValueError(f"window ({low}, {high}) has no width; give (low, high) with low < high")
    return ((volume - low) / (high - low)).clip(0, 1)


class PaddingToAird(ItemTransform):
    """Padding around a round field of view becomes air, so that averages at its edge are tissue's.

    Args:
        keys: items in HU, of any shape.
        below_hu: padding is what lies below.
    """

    def __init__(self, keys: KeysCollection, below_hu: float = PADDING_BELOW_HU) -> None:
        super().__init__(keys)
        self.below_hu = below_hu

    def change(self, item: Tensor, *_: Any) -> Tensor:
        padding = item < self.below_hu
        return item.masked_fill(padding, AIR_HU) if padding.any() else item


class WindowHUd(ItemTransform):
    """Dictionary transform around `window_hu`.

    Args:
        keys: items in HU, of any shape.
        window: (low, high) in HU, such as `LUNG_WINDOW_HU`.

    Raises:
        ValueError: low is not below high.
    """

    def __init__(self, keys: KeysCollection, window: Sequence[float] = LUNG_WINDOW_HU) -> None:
        super().__init__(keys)
        low, high = window
        window_hu(np.zeros(1), (low, high))  # refuses an empty window now, not at the first image
        self.window: Window = (float(low), float(high))

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return window_hu(item, self.window)
