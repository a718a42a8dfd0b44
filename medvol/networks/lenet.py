# SPDX-License-Identifier: Apache-2.0
"""LeNet-5, the smallest network that other classifiers are compared with."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .layers import smallest_size, start_weights, windows
from .transfer import TransferClassifier, check_at_least_one, check_dropout


class LeNet5(TransferClassifier):
    """Two 5x5 convolutions with average pooling and tanh, and three dense layers.

    The features are averaged to `grid` x `grid` places, so images may have any size from 16 x 16;
    at the published 32 x 32 pixels this changes nothing. As usual today, every convolution sees
    all channels, pooling has no weights and the last layer is a dense one: with one channel and
    ten classes 61,706 parameters. LeCun et al., "Gradient-based learning applied to document
    recognition", 1998 (doi 10.1109/5.726791).

    Args:
        in_channels: channels of the input.
        out_channels: classes.
        filters: of the two convolutions.
        dense: sizes of the dense layers before the last.
        grid: places along each axis that the dense layers see.
        dropout: probability of zeroing a feature before the last layer.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax.

    Raises:
        ValueError: an argument out of range; from forward, an image that is too small.

    Example:
        >>> import torch
        >>> LeNet5(1, 3)(torch.zeros(2, 1, 64, 50)).shape
        torch.Size([2, 3])
    """

    fitting = "a LeNet5 of the same arguments; its last layer may be another"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        filters: Sequence[int] = (6, 16),
        dense: Sequence[int] = (120, 84),
        grid: int = 5,
        dropout: float = 0.0,
    ) -> None:
        check_at_least_one(
            in_channels=in_channels, out_channels=out_channels, filters=filters, dense=dense,
            grid=grid,
        )  # fmt: skip
        check_dropout(dropout)
        if len(filters) != 2:
            raise ValueError(f"filters has {len(filters)} entries; give one for each of 2 layers")
        features = nn.Sequential(
            nn.Conv2d(in_channels, filters[0], 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(filters[0], filters[1], 5), nn.Tanh(), nn.AvgPool2d(2),
        )  # fmt: skip
        sizes = [filters[1] * grid * grid, *dense]
        hidden = nn.Sequential()
        for size, following in pairwise(sizes):
            hidden.extend([nn.Linear(size, following), nn.Tanh()])
        parts = OrderedDict(
            features=features, grid=nn.AdaptiveAvgPool2d(grid), flatten=nn.Flatten(), dense=hidden
        )
        head = nn.Sequential(nn.Dropout(dropout), nn.Linear(sizes[-1], out_channels))
        stages = [["features.0"], ["features.3"], ["dense"]]
        smallest = smallest_size(windows(features))
        super().__init__(nn.Sequential(parts), stages, head, smallest=smallest)
        start_weights(self.body, "tanh")
