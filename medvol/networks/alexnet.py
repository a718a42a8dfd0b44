# SPDX-License-Identifier: Apache-2.0
"""AlexNet, in torchvision's layout."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .layers import smallest_size, start_weights, windows
from .transfer import TransferClassifier, check_at_least_one, check_dropout

PLACES = 6  # along each axis, which the dense layers see; of 224 x 224 pixels so many are left


class AlexNet(TransferClassifier):
    """Five convolutions, three of them with max-pooling, and three dense layers.

    The form for a single processor, whose ImageNet weights torchvision has, see `load_body`: with
    three channels and 1,000 classes 61,100,840 parameters. Filters (96, 256, 384, 384, 256) are
    those of 2012. The features are averaged to 6 x 6 places, so images may have any size from
    63 x 63; at 224 x 224 pixels this changes nothing. Krizhevsky, "One weird trick for
    parallelizing convolutional neural networks", 2014 (arXiv 1404.5997), after Krizhevsky et al.,
    "ImageNet classification with deep convolutional neural networks", 2012.

    Args:
        in_channels: channels of the input.
        out_channels: classes.
        filters: of the five convolutions.
        dense: sizes of the dense layers before the last.
        dropout: probability of zeroing a feature before the dense layers, of which the last one
            has none.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax.

    Raises:
        ValueError: an argument out of range; from forward, an image that is too small.

    Example:
        >>> import torch
        >>> net = AlexNet(1, 3, filters=(8, 8, 8, 8, 8), dense=(16, 16))
        >>> net(torch.zeros(2, 1, 63, 80)).shape
        torch.Size([2, 3])
    """

    fitting = "an AlexNet in torchvision's layout, with the same filters and dense layers"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        filters: Sequence[int] = (64, 192, 384, 256, 256),
        dense: Sequence[int] = (4096, 4096),
        dropout: float = 0.5,
    ) -> None:
        check_at_least_one(
            in_channels=in_channels, out_channels=out_channels, filters=filters, dense=dense
        )
        check_dropout(dropout)
        if len(filters) != 5:
            raise ValueError(f"filters has {len(filters)} entries; give one for each of 5 layers")
        one, two, three, four, five = filters
        features = nn.Sequential(
            nn.Conv2d(in_channels, one, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(one, two, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(two, three, 3, padding=1), nn.ReLU(),
            nn.Conv2d(three, four, 3, padding=1), nn.ReLU(),
            nn.Conv2d(four, five, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        sizes = [five * PLACES * PLACES, *dense]
        hidden = nn.Sequential()
        for size, following in pairwise(sizes):
            hidden.extend([nn.Dropout(dropout), nn.Linear(size, following), nn.ReLU()])
        parts = OrderedDict(
            features=features, grid=nn.AdaptiveAvgPool2d(PLACES), flatten=nn.Flatten(),
            classifier=hidden,
        )  # fmt: skip
        head = nn.Sequential(nn.Linear(sizes[-1], out_channels))
        stages = [*([f"features.{n}"] for n in (0, 3, 6, 8, 10)), ["classifier"]]
        smallest = smallest_size(windows(features))
        super().__init__(nn.Sequential(parts), stages, head, smallest=smallest)
        start_weights(self.body)
