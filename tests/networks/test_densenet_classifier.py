# SPDX-License-Identifier: Apache-2.0
"""DenseNet: the family's contract, and names of torchvision and timm."""

from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import TransferContract
from torch import Tensor

from medvol.networks.densenet_classifier import DenseNetClassifier, monai_name

SMALL: dict[str, Any] = {"in_channels": 3, "out_channels": 2, "layers": (1, 2, 1, 1), "growth": 4}


class TestDenseNetClassifier(TransferContract):
    make = DenseNetClassifier
    smallest = 29  # 1 from 2, 4, 8, 15, 29
    settings: ClassVar = {"small": SMALL, "dense": {**SMALL, "hidden": (8,), "dropout": 0.1}}
    refused: ClassVar = {
        "layers has 3 entries; give one for each of 4 blocks": {"layers": (1, 1, 1)},
        "growth is 0; give at least 1": {"growth": 0},
        "dropout is 1.5": {"dropout": 1.5},
    }


def test_the_published_network_and_its_names() -> None:
    with torch.device("meta"):
        network = DenseNetClassifier(3, 1000)
    assert sum(weight.numel() for weight in network.parameters()) == 7_978_856
    assert network.head[1].in_features == 1024


def norm(name: str, channels: int) -> dict[str, Tensor]:
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": torch.rand(channels) for kind in kinds}


def foreign(dot: str) -> dict[str, Tensor]:
    """As torchvision and timm write a DenseNet of blocks (1, 2, 1, 1) and growth 4; by hand."""
    torch.manual_seed(3)
    state = {"features.conv0.weight": torch.rand(8, 3, 7, 7), **norm("features.norm0", 8)}
    for block, layer, channels in [(1, 1, 8), (2, 1, 6), (2, 2, 10), (3, 1, 7), (4, 1, 5)]:
        start = f"features.denseblock{block}.denselayer{layer}."
        state |= norm(f"{start}norm{dot}1", channels) | norm(f"{start}norm{dot}2", 16)
        state[f"{start}conv{dot}1.weight"] = torch.rand(16, channels, 1, 1)
        state[f"{start}conv{dot}2.weight"] = torch.rand(4, 16, 3, 3)
    for transition, channels in [(1, 12), (2, 14), (3, 11)]:
        state |= norm(f"features.transition{transition}.norm", channels)
        halved = torch.rand(channels // 2, channels, 1, 1)
        state[f"features.transition{transition}.conv.weight"] = halved
    state |= norm("features.norm5", 9)
    return {**state, "classifier.weight": torch.rand(1000, 9), "classifier.bias": torch.rand(1000)}


@pytest.mark.parametrize("dot", ["", "."], ids=["today", "older files"])
def test_a_state_dict_of_torchvision_fits(dot: str) -> None:
    network, state = DenseNetClassifier(**SMALL), foreign(dot)
    assert network.load_body(state)[1:] == ((), ("classifier.weight", "classifier.bias"))
    second = network.body.features.denseblock2.denselayer2.layers
    start = f"features.denseblock2.denselayer2.norm{dot}2"
    assert torch.equal(second.norm2.running_var, state[f"{start}.running_var"])
    transition = network.body.features.transition3.conv.weight
    assert torch.equal(transition, state["features.transition3.conv.weight"])


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("denseblock1.denselayer12.conv2.weight", "denseblock1.denselayer12.layers.conv2.weight"),
        ("denseblock1.denselayer1.norm.2.bias", "denseblock1.denselayer1.layers.norm2.bias"),
        ("denseblock1.denselayer1.layers.norm1.bias", "denseblock1.denselayer1.layers.norm1.bias"),
        ("transition1.norm.weight", "transition1.norm.weight"),
        ("norm5.weight", "norm5.weight"),
    ],
)
def test_names_by_hand(name: str, own: str) -> None:
    assert monai_name(f"features.{name}") == f"features.{own}"


def test_groups_are_the_stem_the_blocks_and_the_head() -> None:
    groups = DenseNetClassifier(**SMALL).layer_groups()
    # a layer has two convolutions and norms, 6 parameters; a transition 3, the last norm 2
    assert [len(group) for group in groups] == [3, 6 + 3, 12 + 3, 6 + 3, 6 + 2, 2]
