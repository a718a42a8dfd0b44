# SPDX-License-Identifier: Apache-2.0
"""Plain convolutional networks: what sizes their layers leave, and the weights they start from."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from torch import nn


class Window(NamedTuple):
    """What a convolution or pooling looks at along each axis, in pixels."""

    kernel: int
    stride: int = 1
    padding: int = 0


def windows(layers: nn.Module) -> list[Window]:
    """Convolutions and poolings of layers that stand one after the other, in their order.

    Args:
        layers: with square kernels.
    """
    found = []
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            padding = cast("tuple[int, int]", layer.padding)[0]
            found.append(Window(layer.kernel_size[0], layer.stride[0], padding))
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            sizes = cast("tuple[int, int, int]", (layer.kernel_size, layer.stride, layer.padding))
            found.append(Window(*sizes))
    return found


def size_after(layers: Sequence[Window], size: int) -> int:
    """Pixels that layers leave of so many along an axis; 0 where they leave none.

    Example:
        >>> size_after([Window(3), Window(2, 2)], 256)  # 254, halved
        127
    """
    for kernel, stride, padding in layers:
        size = max(0, (size + 2 * padding - kernel) // stride + 1)
    return size


def smallest_size(layers: Sequence[Window]) -> int:
    """Pixels along an axis of which layers leave just one.

    Example:
        >>> smallest_size([Window(3), Window(2, 2)])
        4
    """
    size = 1
    for kernel, stride, padding in reversed(layers):
        size = max(1, (size - 1) * stride + kernel - 2 * padding)
    return size


def start_weights(layers: nn.Module, activation: Literal["relu", "tanh"] = "relu") -> None:
    """Draw weights so that layers with their activation keep the size of values; biases are 0.

    PyTorch's own start makes the variance 6 times less per layer with ReLU, and ten layers without
    batch normalisation then give nearly the same scores for every image. He et al., "Delving deep
    into rectifiers", 2015 (doi 10.1109/ICCV.2015.123).

    Args:
        layers: of which convolutions and dense layers are drawn anew.
        activation: "relu" or "tanh", what follows each.
    """
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity=activation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
