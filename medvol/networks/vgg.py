# SPDX-License-Identifier: Apache-2.0
"""VGG-16, in torchvision's layout."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .layers import smallest_size, start_weights, windows
from .transfer import TransferClassifier, check_at_least_one, check_dropout

CONVOLUTIONS = (2, 2, 3, 3, 3)  # per block; Simonyan and Zisserman 2015, table 1, column D
PLACES = 7  # along each axis, which the dense layers see; of 224 x 224 pixels so many are left


class VGG16(TransferClassifier):
    """Thirteen 3x3 convolutions in five blocks with max-pooling, and three dense layers.

    torchvision's ImageNet weights of vgg16, or with `batch_norm` of vgg16_bn, fit it, see
    `load_body`: with three channels and 1,000 classes 138,357,544 parameters, of which the dense
    layers have 124 million; smaller `dense` train as well on few images. The features are averaged
    to 7 x 7 places, so images may have any size from 32 x 32; at 224 x 224 pixels this changes
    nothing. Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
    recognition", 2015 (arXiv 1409.1556).

    Args:
        in_channels: channels of the input.
        out_channels: classes.
        filters: of the convolutions, one number for each of five blocks.
        dense: sizes of the dense layers before the last.
        batch_norm: normalise after each convolution.
        dropout: probability of zeroing a feature before each dense layer but the first.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax.

    Raises:
        ValueError: an argument out of range; from forward, an image that is too small.

    Example:
        >>> import torch
        >>> net = VGG16(1, 3, filters=(4, 4, 8, 8, 8), dense=(16, 16))
        >>> net(torch.zeros(2, 1, 32, 50)).shape
        torch.Size([2, 3])
    """

    fitting = "a VGG-16 in torchvision's layout, with the same filters and dense layers"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        filters: Sequence[int] = (64, 128, 256, 512, 512),
        dense: Sequence[int] = (4096, 4096),
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        check_at_least_one(
            in_channels=in_channels, out_channels=out_channels, filters=filters, dense=dense
        )
        check_dropout(dropout)
        if len(filters) != len(CONVOLUTIONS):
            raise ValueError(f"filters has {len(filters)} entries; give one for each of 5 blocks")
        features, stages = nn.Sequential(), []
        channels = in_channels
        for width, convolutions in zip(filters, CONVOLUTIONS, strict=True):
            start = len(features)
            for _ in range(convolutions):
                features.append(nn.Conv2d(channels, width, 3, padding=1))
                if batch_norm:
                    features.append(nn.BatchNorm2d(width))
                features.append(nn.ReLU())
                channels = width
            features.append(nn.MaxPool2d(2))
            stages.append([f"features.{n}" for n in range(start, len(features))])
        sizes = [channels * PLACES * PLACES, *dense]
        hidden = nn.Sequential()
        for layer, (size, following) in enumerate(pairwise(sizes)):
            if layer > 0:
                hidden.append(nn.Dropout(dropout))
            hidden.extend([nn.Linear(size, following), nn.ReLU()])
        parts = OrderedDict(
            features=features, grid=nn.AdaptiveAvgPool2d(PLACES), flatten=nn.Flatten(),
            classifier=hidden,
        )  # fmt: skip
        head = nn.Sequential(nn.Dropout(dropout), nn.Linear(sizes[-1], out_channels))
        stages.append(["classifier"])
        smallest = smallest_size(windows(features))
        super().__init__(nn.Sequential(parts), stages, head, smallest=smallest)
        start_weights(self.body)
