# SPDX-License-Identifier: Apache-2.0
"""LeNet-5, AlexNet and VGG-16: the family's contract, torchvision's layout, sizes by hand."""

from typing import ClassVar

import pytest
import torch
from contracts.networks import TransferContract
from torch import nn

from medvol.networks.plain import (
    VGG16,
    AlexNet,
    LeNet5,
    smallest_size,
    start_weights,
)


def block(channels: int = 1) -> list[nn.Module]:
    """3x3 convolution without padding, 2x2 pooling."""
    return [nn.Conv2d(channels, channels, 3), nn.ReLU(), nn.MaxPool2d(2)]


STEM = [nn.Conv2d(1, 1, 11, stride=4, padding=2), nn.MaxPool2d(3, 2)]


@pytest.mark.parametrize(
    ("layers", "smallest"),
    [
        ([nn.Sequential(*block()) for _ in range(5)], 94),  # 2, 4, 8, 10, 20, 22, 44, 46, 92, 94
        (STEM, 15),  # 1 from 3 from 2 * 4 + 11 - 4
        ([nn.Conv2d(1, 1, 3, padding=1)], 1),
        ([nn.Conv2d(1, 1, 5, padding=2), nn.AvgPool2d(2)], 2),
    ],
    ids=["blocks", "stem", "padded", "average"],
)
def test_the_smallest_size_leaves_one_and_less_leaves_none(
    layers: list[nn.Module], smallest: int
) -> None:
    network = nn.Sequential(*layers)
    assert smallest_size(network) == smallest
    assert network(torch.zeros(1, 1, smallest, smallest)).shape == (1, 1, 1, 1)
    if smallest > 1:
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 1, smallest - 1, smallest))


def test_values_keep_their_size_through_many_layers() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(*[part for _ in range(20) for part in (nn.Linear(256, 256), nn.ReLU())])
    values = torch.randn(64, 256)
    with torch.no_grad():
        assert layers(values).square().mean() < 0.1
        start_weights(layers)
        assert 0.2 < layers(values).square().mean() < 5
    assert all(not layer.bias.any() for layer in layers if isinstance(layer, nn.Linear))


class TestLeNet5(TransferContract):
    make = LeNet5
    smallest = 16  # 1 from 2, 6, 12, 16
    settings: ClassVar = {
        "published": {"in_channels": 1, "out_channels": 3},
        "small": {"in_channels": 2, "out_channels": 2, "filters": (4, 5), "dense": (), "grid": 2},
    }
    refused: ClassVar = {
        "filters has 3 entries; give one for each of 2 layers": {"filters": (4, 4, 4)},
        "grid is 0; give at least 1": {"grid": 0},
        "dropout is 1; give 0 or more and less than 1": {"dropout": 1},
    }


def test_parameters_worked_out_by_hand() -> None:
    dense = (16 * 5 * 5 + 1) * 120 + 121 * 84 + 85 * 10
    network = LeNet5(1, 10)
    assert sum(w.numel() for w in network.parameters()) == 26 * 6 + 151 * 16 + dense == 61_706


def test_the_grid_changes_nothing_at_the_published_size() -> None:
    features = LeNet5(1, 10).body.features(torch.rand(1, 1, 32, 32))
    assert features.shape == (1, 16, 5, 5)
    assert torch.equal(LeNet5(1, 10).body.grid(features), features)


SMALL_ALEXNET = {
    "in_channels": 1,
    "out_channels": 3,
    "filters": (8, 8, 12, 8, 8),
    "dense": (16, 16),
}


class TestAlexNet(TransferContract):
    make = AlexNet
    smallest = 63  # 1 from 3, 7, 15, 63
    settings: ClassVar = {"small": SMALL_ALEXNET}
    refused: ClassVar = {
        "filters has 2 entries; give one for each of 5 layers": {"filters": (4, 4)},
        "dense is (4, 0); give at least 1": {"dense": (4, 0)},
    }


def test_the_published_alexnet_in_torchvisions_layout() -> None:
    with torch.device("meta"):
        network = AlexNet(3, 1000)
    assert sum(weight.numel() for weight in network.parameters()) == 61_100_840
    shapes = {name: tuple(value.shape) for name, value in network.body.state_dict().items()}
    assert shapes["features.0.weight"] == (64, 3, 11, 11)
    assert shapes["features.10.bias"] == (256,)
    assert shapes["classifier.1.weight"] == (4096, 9216)
    assert shapes["classifier.4.weight"] == (4096, 4096)
    assert len(shapes) == 16 - 2  # torchvision's has 16 entries, two of them its last layer


def test_six_by_six_places_are_left_of_224_pixels() -> None:
    assert AlexNet(**SMALL_ALEXNET).body.features(torch.rand(1, 1, 224, 224)).shape == (1, 8, 6, 6)


SMALL_VGG = {"in_channels": 1, "out_channels": 3, "filters": (4, 4, 8, 8, 8), "dense": (16, 16)}


class TestVGG16(TransferContract):
    make = VGG16
    smallest = 32
    settings: ClassVar = {"small": SMALL_VGG, "normalised": {**SMALL_VGG, "batch_norm": True}}
    refused: ClassVar = {
        "filters has 2 entries; give one for each of 5 blocks": {"filters": (4, 4)},
        "out_channels is 0; give at least 1": {"out_channels": 0},
    }


# torchvision's vgg16 and vgg16_bn have 32 and 97 entries, two of them the last layer
@pytest.mark.parametrize(
    ("batch_norm", "expected", "entries", "last"),
    [(False, 138_357_544, 32 - 2, "features.28"), (True, 138_365_992, 97 - 2, "features.40")],
)
def test_the_published_vgg16_in_torchvisions_layout(
    batch_norm: bool, expected: int, entries: int, last: str
) -> None:
    with torch.device("meta"):
        network = VGG16(3, 1000, batch_norm=batch_norm)
    assert sum(weight.numel() for weight in network.parameters()) == expected
    shapes = {name: tuple(value.shape) for name, value in network.body.state_dict().items()}
    assert shapes["features.0.weight"] == (64, 3, 3, 3)
    assert shapes[f"{last}.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)
    assert shapes["classifier.3.weight"] == (4096, 4096)
    assert len(shapes) == entries


def test_groups_are_the_blocks_the_dense_layers_and_the_last() -> None:
    groups = VGG16(**SMALL_VGG).layer_groups()
    assert [len(group) for group in groups] == [4, 4, 6, 6, 6, 4, 2]
