# SPDX-License-Identifier: Apache-2.0
"""VGG-16: the family's contract, and torchvision's layout."""

from typing import ClassVar

import pytest
import torch
from networks.contract import TransferContract

from medvol.networks.vgg import VGG16

SMALL = {"in_channels": 1, "out_channels": 3, "filters": (4, 4, 8, 8, 8), "dense": (16, 16)}


class TestVGG16(TransferContract):
    make = VGG16
    smallest = 32
    settings: ClassVar = {"small": SMALL, "normalised": {**SMALL, "batch_norm": True}}
    refused: ClassVar = {
        "filters has 2 entries; give one for each of 5 blocks": {"filters": (4, 4)},
        "out_channels is 0; give at least 1": {"out_channels": 0},
    }


# torchvision's vgg16 and vgg16_bn have 32 and 97 entries, two of them the last layer
@pytest.mark.parametrize(
    ("batch_norm", "expected", "entries", "last"),
    [(False, 138_357_544, 32 - 2, "features.28"), (True, 138_365_992, 97 - 2, "features.40")],
)
def test_the_published_network_in_torchvisions_layout(
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
    groups = VGG16(**SMALL).layer_groups()
    assert [len(group) for group in groups] == [4, 4, 6, 6, 6, 4, 2]
