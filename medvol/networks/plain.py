# SPDX-License-Identifier: Apache-2.0
"""LeNet-5, AlexNet and VGG-16: convolutions one after the other, then dense layers.

They are what other classifiers are compared with. AlexNet and VGG-16 have torchvision's layout, so
that its ImageNet weights fit, see `load_body`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

from torch import nn

from .transfer import TransferClassifier, check_at_least_one, check_dropout, check_number

# of VGG-16 per block; Simonyan and Zisserman 2015, table 1, column D
CONVOLUTIONS = (2, 2, 3, 3, 3)
# along each axis that the dense layers see; of 224 x 224 pixels so many are left
ALEXNET_PLACES, VGG_PLACES = 6, 7
Activation = Literal["relu", "tanh"]


def smallest_size(layers: nn.Module) -> int:
    """Pixels along an axis of which convolutions and poolings, one after the other, leave just one.

    Args:
        layers: with square kernels.

    Example:
        >>> smallest_size(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)))
        4
    """
    size = 1
    for layer in reversed([*layers.modules()]):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            given = (layer.kernel_size, layer.stride, layer.padding)
            kernel, stride, padding = (x if isinstance(x, int) else int(x[0]) for x in given)
            size = max(1, (size - 1) * stride + kernel - 2 * padding)
    return size


def start_weights(layers: nn.Module, activation: Activation = "relu") -> None:
    """Draw weights so that layers with their activation keep the size of values; biases are 0.

    PyTorch's own start makes the variance 6 times less per layer with ReLU, and ten layers without
    batch normalisation then give nearly the same scores for every image. He et al., "Delving deep
    into rectifiers", 2015 (doi 10.1109/ICCV.2015.123).

    Args:
        layers: of which convolutions and dense layers are drawn anew.
        activation: what follows each.
    """
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity=activation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def dense_layers(
    sizes: Sequence[int],
    *,
    activation: Activation = "relu",
    dropout: float = 0.0,
    undropped: int = 0,
) -> nn.Sequential:
    """Dense layers with their activations, and dropout before each but the first ones.

    Args:
        sizes: of what goes in, and of what each layer gives.
        activation: what follows each layer.
        dropout: probability of zeroing a feature before a layer.
        undropped: layers at the start that have no dropout before them.
    """
    after = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    layers = nn.Sequential()
    for number, (size, following) in enumerate(pairwise(sizes)):
        if number >= undropped:
            layers.append(nn.Dropout(dropout))
        layers.extend([nn.Linear(size, following), after()])
    return layers


def averaged(
    convolutions: nn.Sequential, places: int, dense: nn.Sequential
) -> dict[str, nn.Module]:
    """Parts of a body whose features are averaged to a grid of places before the dense layers.

    So images may have any size from that of which the convolutions leave one place.

    Args:
        convolutions: with what stands between them.
        places: along each axis.
        dense: layers from the places on, but the last one.
    """
    grid = nn.AdaptiveAvgPool2d(places)
    return {"features": convolutions, "grid": grid, "flatten": nn.Flatten(), "classifier": dense}


class PlainClassifier(TransferClassifier):
    """Convolutions one after the other, then dense layers, of which the last is the head.

    Args:
        parts: of the body, by name: first the convolutions, last the dense layers.
        stages: numbers of the layers in the first part, in groups that learn at one rate.
        features: numbers that the last part gives.
        out_channels: classes.
        dropout: probability of zeroing a feature before the head.

    Attributes:
        activation: what follows the layers, see `start_weights`.

    Raises:
        ValueError: an argument out of range; from forward, an image that is too small.
    """

    activation: ClassVar[Activation] = "relu"

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        stages: Iterable[Iterable[int]],
        *,
        features: int,
        out_channels: int,
        dropout: float,
    ) -> None:
        first, *_, last = parts
        groups = [[f"{first}.{number}" for number in group] for group in stages]
        super().__init__(
            nn.Sequential(OrderedDict(parts)), [*groups, [last]],
            features=features, out_channels=out_channels, dropout=dropout,
        )  # fmt: skip
        self.smallest = smallest_size(self.body)
        start_weights(self.body, self.activation)


class LeNet5(PlainClassifier):
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
    activation = "tanh"

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
        check_number("filters", filters, 2, of="layers")
        convolutions = nn.Sequential(
            nn.Conv2d(in_channels, filters[0], 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(filters[0], filters[1], 5), nn.Tanh(), nn.AvgPool2d(2),
        )  # fmt: skip
        sizes = [filters[1] * grid * grid, *dense]
        hidden = dense_layers(sizes, activation="tanh", undropped=len(dense))
        super().__init__(
            averaged(convolutions, grid, hidden), [[0], [3]],
            features=sizes[-1], out_channels=out_channels, dropout=dropout,
        )  # fmt: skip


class AlexNet(PlainClassifier):
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
        check_number("filters", filters, 5, of="layers")
        one, two, three, four, five = filters
        convolutions = nn.Sequential(
            nn.Conv2d(in_channels, one, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(one, two, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(two, three, 3, padding=1), nn.ReLU(),
            nn.Conv2d(three, four, 3, padding=1), nn.ReLU(),
            nn.Conv2d(four, five, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        sizes = [five * ALEXNET_PLACES**2, *dense]
        hidden = dense_layers(sizes, dropout=dropout)
        super().__init__(
            averaged(convolutions, ALEXNET_PLACES, hidden), [[0], [3], [6], [8], [10]],
            features=sizes[-1], out_channels=out_channels, dropout=0.0,
        )  # fmt: skip


class VGG16(PlainClassifier):
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
        check_number("filters", filters, len(CONVOLUTIONS), of="blocks")
        convolutions, stages = nn.Sequential(), []
        channels = in_channels
        for width, number in zip(filters, CONVOLUTIONS, strict=True):
            start = len(convolutions)
            for _ in range(number):
                convolutions.append(nn.Conv2d(channels, width, 3, padding=1))
                if batch_norm:
                    convolutions.append(nn.BatchNorm2d(width))
                convolutions.append(nn.ReLU())
                channels = width
            convolutions.append(nn.MaxPool2d(2))
            stages.append(range(start, len(convolutions)))
        sizes = [channels * VGG_PLACES**2, *dense]
        hidden = dense_layers(sizes, dropout=dropout, undropped=1)
        super().__init__(
            averaged(convolutions, VGG_PLACES, hidden), stages,
            features=sizes[-1], out_channels=out_channels, dropout=dropout,
        )  # fmt: skip
