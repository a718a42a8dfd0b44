# SPDX-License-Identifier: Apache-2.0
"""AlexNet: the family's contract, and torchvision's layout."""

from typing import ClassVar

import torch
from networks.contract import TransferContract

from medvol.networks.alexnet import AlexNet

SMALL = {"in_channels": 1, "out_channels": 3, "filters": (8, 8, 12, 8, 8), "dense": (16, 16)}


class TestAlexNet(TransferContract):
    make = AlexNet
    smallest = 63  # 1 from 3, 7, 15, 63
    settings: ClassVar = {"small": SMALL}
    refused: ClassVar = {
        "filters has 2 entries; give one for each of 5 layers": {"filters": (4, 4)},
        "dense is (4, 0); give at least 1": {"dense": (4, 0)},
    }


def test_the_published_network_in_torchvisions_layout() -> None:
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
    assert AlexNet(**SMALL).body.features(torch.rand(1, 1, 224, 224)).shape == (1, 8, 6, 6)
