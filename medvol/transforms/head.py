# SPDX-License-Identifier: Apache-2.0
"""The head in an MR image: where it lies, and its grey values brought to one scale.

MR has no units: the same tissue is 80 in one scan and 800 in the next. So each sequence is measured
in its own head, mean and spread of what is brighter than the air around it.
"""

from typing import Any

import torch
from torch import Tensor

from .keys import ItemTransform, plain

MIN_PROFILE_SHARE = 0.05  # of a line: fewer bright voxels than that are ghosts, not the head
LIMIT_STD = 4.0  # further out lie vessels and fat, which carry no information on a tumour


def head_mask(channel: Tensor) -> Tensor:
    """What is brighter than the mean of the image, which noise in the air around a head never is.

    Args:
        channel: (X, Y, Z), one sequence.

    Returns:
        (X, Y, Z) bool: skin, fat and brain, without most of the fluid; all False for one value.
    """
    return channel > channel.double().mean()


def standardise_head(volume: Tensor) -> Tensor:
    """Per channel, mean 0 and standard deviation 1 in the head, limited to +-`LIMIT_STD`.

    Args:
        volume: (C, X, Y, Z), any scale, air near 0.

    Returns:
        (C, X, Y, Z) float32. A channel of one value becomes 0.

    Example:
        >>> standardise_head(torch.tensor([0.0, 0.0, 80.0, 120.0]).reshape(1, 1, 1, 4)).flatten()
        tensor([-4., -4., -1.,  1.])
    """
    scaled = torch.zeros_like(volume, dtype=torch.float32)
    for into, channel in zip(scaled, volume.float(), strict=True):
        inside = channel[head_mask(channel)]
        if len(inside) and inside.min() < inside.max():
            std, mean = torch.std_mean(inside, correction=0)
            into[:] = ((channel - mean) / std).clamp(-LIMIT_STD, LIMIT_STD)
    return scaled


class HeadBox:
    """A `select_fn` for MONAI's `CropForegroundd`: True in the box of the head, in every slice.

    Column and row belong to the box where in some slice at least `MIN_PROFILE_SHARE` of them is
    head in the mean of the sequences; so a speck in the air does not count. All slices stay.
    """

    def __call__(self, volume: Tensor) -> Tensor:
        """(C, X, Y, Z) to (C, X, Y, Z) bool; all True when no head is found."""
        volume = plain(volume)
        mask = head_mask(volume.float().mean(0)).float()
        columns = (mask.mean(1) >= MIN_PROFILE_SHARE).any(-1)
        rows = (mask.mean(0) >= MIN_PROFILE_SHARE).any(-1)
        box = columns[:, None, None] & rows[None, :, None]
        return (box if box.any() else ~box).expand_as(volume)


class StandardiseHeadd(ItemTransform):
    """Dictionary transform around `standardise_head`.

    Args:
        keys: items (C, X, Y, Z), one sequence a channel.
    """

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return standardise_head(item)
