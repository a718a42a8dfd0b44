# SPDX-License-Identifier: Apache-2.0
"""The residual classifier: the family's contract, and the layout of torchvision and timm."""

from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import TransferContract

from medvol.networks.residual_classifier import ResidualClassifier

IN_OUT = {"in_channels": 3, "out_channels": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "34": {**IN_OUT, "depth": 34, "width": 4},
    "50": {**IN_OUT, "depth": 50, "width": 4},
    "18 dense": {**IN_OUT, "depth": 18, "width": 4, "hidden": (16, 8)},
}


class TestResidualClassifier(TransferContract):
    make = ResidualClassifier
    settings: ClassVar = SETTINGS
    refused: ClassVar = {
        "depth is 101; give one of 18, 34, 50": {"depth": 101},
        "width is 0; give at least 1": {"width": 0},
        "hidden is (4, 0); give at least 1": {"hidden": (4, 0)},
        "dropout is 1.0; give 0 or more and less than 1": {"dropout": 1.0},
    }


def small(**changed: Any) -> ResidualClassifier:
    torch.manual_seed(changed.pop("seed", 0))
    return ResidualClassifier(**{**IN_OUT, "depth": 18, "width": 4, **changed})


# without the last dense layer, of 1,000 classes; torchvision states 11,689,512, 21,797,672 and
# 25,557,032 with it
@pytest.mark.parametrize(
    ("depth", "expected"),
    [(18, 11_689_512 - 513_000), (34, 21_797_672 - 513_000), (50, 25_557_032 - 2_049_000)],
)
def test_the_body_has_as_many_weights_as_the_published_network(depth: int, expected: int) -> None:
    with torch.device("meta"):
        body = ResidualClassifier(3, 2, depth=depth).body
    assert sum(weight.numel() for weight in body.parameters()) == expected


def test_names_and_shapes_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in ResidualClassifier(3, 2).body.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["bn1.running_mean"] == (64,)
    assert shapes["layer1.1.conv2.weight"] == (64, 64, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert shapes["layer4.1.bn2.num_batches_tracked"] == ()
    assert "layer2.0.downsample.0.bias" not in shapes
    assert len(shapes) == 122 - 2  # resnet18 of torchvision has 122 entries, two of them its fc


def test_the_last_layer_of_torchvision_and_timm_stays_outside() -> None:
    state = {**small().body.state_dict(), "fc.weight": torch.zeros(9, 32), "fc.bias": torch.ones(9)}
    found = small(seed=1).load_body(state)
    assert found[1:] == ((), ("fc.weight", "fc.bias"))


def test_groups_are_the_stem_the_stages_and_the_head() -> None:
    network = small()
    # a basic block has two convolutions and norms, 6 parameters, and 3 more where it halves
    assert [len(group) for group in network.layer_groups()] == [3, 12, 15, 15, 15, 2]


def test_the_image_is_reduced_32_times() -> None:
    network = small().eval()
    sizes = []
    network.body.layer4.register_forward_hook(lambda *a: sizes.append(tuple(a[2].shape[2:])))
    network(torch.rand(1, 3, 64, 96))
    assert sizes == [(2, 3)]


def test_hidden_layers_stand_in_the_head() -> None:
    layers = [str(layer).partition(", bias")[0] for layer in small(hidden=(6,), dropout=0.5).head]
    assert layers == [
        "Dropout(p=0.5, inplace=False)", "Linear(in_features=32, out_features=6", "ReLU()",
        "Dropout(p=0.5, inplace=False)", "Linear(in_features=6, out_features=2",
    ]  # fmt: skip
