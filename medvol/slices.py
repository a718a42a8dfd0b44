# SPDX-License-Identifier: Apache-2.0
"""Slabs: a slice with its neighbours, as the channels of one 2D image."""

import torch
from torch import Tensor


def check_slices(slices: int) -> int:
    """`slices`, when a slab of so many has a middle.

    Raises:
        ValueError: not odd, or below 1.
    """
    if slices < 1 or slices % 2 == 0:
        raise ValueError(f"slices is {slices}; give an odd number, such as 5: two on each side")
    return slices


def read_slices(volume: Tensor, start: int, stop: int) -> Tensor:
    """Slices `start` to `stop` of a volume; beyond its ends the last slice is repeated.

    Args:
        volume: (C, X, Y, Z).
        start: first slice, may be negative.
        stop: one after the last, may exceed Z.

    Returns:
        (stop - start, C, X, Y), a copy.

    Example:
        >>> read_slices(torch.tensor([[[[7, 8, 9]]]]), -1, 2).flatten().tolist()
        [7, 7, 8]
    """
    index = torch.arange(start, stop, device=volume.device).clamp(0, volume.shape[-1] - 1)
    return volume.index_select(-1, index).movedim(-1, 0).contiguous()


def stack_slices(sliced: Tensor, slices: int) -> Tensor:
    """Every run of `slices` neighbouring slices as the channels of one image.

    Args:
        sliced: (n + slices - 1, C, X, Y).
        slices: of a slab, odd.

    Returns:
        (n, C * slices, X, Y); the slices of channel 0 first, each channel's from low z to high.

    Example:
        >>> stack_slices(torch.tensor([7, 7, 8, 9]).reshape(4, 1, 1, 1), 3).squeeze().tolist()
        [[7, 7, 8], [7, 8, 9]]
    """
    return sliced.unfold(0, slices, 1).movedim(-1, 2).flatten(1, 2)


def middle_slices(slabs: Tensor, slices: int) -> Tensor:
    """The volume out of its slabs: the middle slice of each.

    Args:
        slabs: (Z, C * slices, X, Y).
        slices: of a slab, odd; 1 for what a network says of the middle slice.

    Returns:
        (C, X, Y, Z).
    """
    return slabs[:, slices // 2 :: slices].movedim(0, -1).contiguous()
