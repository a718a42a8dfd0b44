# SPDX-License-Identifier: Apache-2.0
"""Sizes that layers leave, worked out by hand, and the weights that networks start from."""

import pytest
import torch
from torch import nn

from medvol.networks.layers import Window, size_after, smallest_size, start_weights, windows

BLOCK = [Window(3), Window(2, 2)]  # 3x3 convolution without padding, 2x2 pooling
STEM = [Window(11, 4, 2), Window(3, 2)]


def test_windows_of_layers_in_their_order() -> None:
    layers = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.AvgPool2d(2), nn.Conv2d(2, 2, 3), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
    )  # fmt: skip
    assert windows(layers) == [*STEM, Window(2, 2), Window(3)]


@pytest.mark.parametrize(
    ("layers", "size", "left"),
    [
        (BLOCK * 5, 256, 6),  # 127, 62, 30, 14, 6
        (BLOCK * 5, 94, 1),  # 46, 22, 10, 4, 1
        (BLOCK * 5, 93, 0),
        (STEM, 224, 27),  # 55, 27
        ([], 7, 7),
    ],
)
def test_sizes_worked_out_by_hand(layers: list[Window], size: int, left: int) -> None:
    assert size_after(layers, size) == left


@pytest.mark.parametrize(
    ("layers", "smallest"),
    [
        (BLOCK * 5, 94),  # 1 from 2, 4, 8, 10, 20, 22, 44, 46, 92, 94
        (STEM, 15),  # 1 from 3 from 2 * 4 + 11 - 4
        ([Window(3, 1, 1)], 1),
        ([Window(5, 1, 2), Window(2, 2)], 2),
    ],
)
def test_the_smallest_size_leaves_one_and_less_leaves_none(
    layers: list[Window], smallest: int
) -> None:
    assert smallest_size(layers) == smallest
    assert size_after(layers, smallest) == 1
    assert size_after(layers, smallest - 1) == 0


def test_values_keep_their_size_through_many_layers() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(*[part for _ in range(20) for part in (nn.Linear(256, 256), nn.ReLU())])
    values = torch.randn(64, 256)
    with torch.no_grad():
        assert layers(values).square().mean() < 0.1
        start_weights(layers)
        assert 0.2 < layers(values).square().mean() < 5
    assert all(not layer.bias.any() for layer in layers if isinstance(layer, nn.Linear))
