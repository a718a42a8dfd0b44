# SPDX-License-Identifier: Apache-2.0
"""LeNet-5: the family's contract, and the published sizes."""

from typing import ClassVar

import torch
from networks.contract import TransferContract

from medvol.networks.lenet import LeNet5


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
