# SPDX-License-Identifier: Apache-2.0
"""The network of radiographs: the family's contract, and its parameters counted by hand."""

from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import TransferContract
from monai.bundle import ConfigParser
from torch import nn

from medvol.networks.radiograph_cnn import RadiographCNN

SMALL = {
    "in_channels": 1, "out_channels": 3, "image_size": (24, 33), "filters": (8, 16),
    "dense": (16, 8),
}  # fmt: skip


class TestRadiographCNN(TransferContract):
    make = RadiographCNN
    settings: ClassVar = {
        "unpadded": SMALL,
        "padded, normalised": {**SMALL, "same_padding": True, "batch_norm": True},
        "twice, average": {**SMALL, "convolutions": 2, "pooling": "average", "dense": ()},
    }
    refused: ClassVar = {
        "filters is empty; give one number for each block": {"filters": ()},
        "filters is (4, 0); give at least 1": {"filters": (4, 0)},
        "convolutions is 0; give at least 1": {"convolutions": 0},
        "pooling is 'min'; give one of max, average": {"pooling": "min"},
        "image_size is (9, 30), but 2 blocks need 10 pixels": {"image_size": (9, 30)},
        "image_size is (1, 2, 3); give rows and columns": {"image_size": (1, 2, 3)},
        "dropout is -1; give 0 or more": {"dropout": -1},
    }


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_published_number_of_parameters_worked_out_by_hand() -> None:
    convolutions = [9 * 1 * 16 + 16, 9 * 16 * 32 + 32, 9 * 32 * 64 + 64, 9 * 64 * 128 + 128]
    convolutions.append(9 * 128 * 256 + 256)
    # 256 pixels: 254 -> 127, 125 -> 62, 60 -> 30, 28 -> 14, 12 -> 6
    features = 6 * 6 * 256
    dense = [features * 128 + 128, 128 * 64 + 64, 64 * 32 + 32, 32 * 16 + 16, 16 * 3 + 3]
    assert features == 9216
    assert sum(convolutions) + sum(dense) == 1_583_011
    network = RadiographCNN()
    assert count(network) == 1_583_011
    assert network(torch.zeros(1, 1, 256, 256)).shape == (1, 3)


def test_the_layers_in_their_order() -> None:
    names = [type(layer).__name__ for layer in RadiographCNN().modules() if not [*layer.children()]]
    assert names == [
        *["Conv2d", "ReLU", "MaxPool2d"] * 5, "Dropout", "Flatten", *["Linear", "ReLU"] * 4,
        "Dropout", "Linear",
    ]  # fmt: skip


def test_the_batch_normalised_network_worked_out_by_hand() -> None:
    network = RadiographCNN.batch_normalised()
    convolutions = 9 * (1 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 256)
    biases_and_norms = 3 * (32 + 64 + 128 + 256 + 256)
    features = 7 * 7 * 256  # 224 halved five times
    dense = features * 128 + 128 + 128 * 64 + 64 + 64 * 32 + 32 + 32 * 2 + 2
    assert count(network) == convolutions + biases_and_norms + dense == 2_595_554
    block = [type(layer).__name__ for layer in network.body.blocks[4]]
    assert block == ["Conv2d", "ReLU", "MaxPool2d", "BatchNorm2d"]
    assert sum(isinstance(layer, nn.Linear) for layer in network.modules()) == 4


@pytest.mark.parametrize(
    ("target", "changed", "out"),
    [
        ("RadiographCNN", {"out_channels": 4, "filters": [4, 8], "dense": [8]}, 4),
        ("RadiographCNN.batch_normalised", {"filters": [4, 8], "convolutions": 2}, 2),
        ("RadiographCNN.batch_normalised", {"same_padding": False}, 2),
    ],
)
def test_configs_name_both(target: str, changed: dict[str, Any], out: int) -> None:
    path = f"medvol.networks.radiograph_cnn.{target}"
    network = ConfigParser({"net": {"_target_": path, "image_size": 128, **changed}})
    assert network.get_parsed_content("net")(torch.zeros(2, 1, 128, 128)).shape == (2, out)


def test_groups_are_the_blocks_the_dense_layers_and_the_last() -> None:
    groups = RadiographCNN().layer_groups()
    assert [len(group) for group in groups] == [2, 2, 2, 2, 2, 8, 2]
    assert [group[0].shape[0] for group in groups] == [16, 32, 64, 128, 256, 128, 3]


def test_other_images_give_other_scores_from_the_start() -> None:
    torch.manual_seed(0)
    scores = RadiographCNN().eval()(torch.randn(4, 1, 256, 256))
    assert scores.std(0).min() > 0.01
