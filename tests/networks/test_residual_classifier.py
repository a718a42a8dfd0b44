# SPDX-License-Identifier: Apache-2.0
"""The residual classifier: the family's contract, torchvision's layout, and training the head."""

import re
from typing import Any, ClassVar

import pytest
import torch
from networks.contract import ClassificationContract, pictures

from medvol.networks.residual_classifier import ResidualClassifier, adapt_first_convolution

IN_OUT = {"in_channels": 3, "out_channels": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "18": {**IN_OUT, "depth": 18, "width": 4},
    "34": {**IN_OUT, "depth": 34, "width": 4},
    "50": {**IN_OUT, "depth": 50, "width": 4},
    "18 dense": {**IN_OUT, "depth": 18, "width": 4, "hidden": (16, 8)},
}


class TestResidualClassifier(ClassificationContract):
    make = ResidualClassifier
    settings: ClassVar = SETTINGS


def small(**changed: Any) -> ResidualClassifier:
    torch.manual_seed(changed.pop("seed", 0))
    return ResidualClassifier(**{**SETTINGS["18"], **changed})


def ready(network: ResidualClassifier) -> dict[str, bool]:
    return {name: weight.requires_grad for name, weight in network.named_parameters()}


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


def test_a_frozen_body_keeps_weights_and_statistics_while_the_head_learns() -> None:
    network = small().freeze_body()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()
    network(pictures(SETTINGS["18"])).square().sum().backward()
    optimizer.step()
    changed = [n for n, value in network.state_dict().items() if not torch.equal(value, before[n])]
    assert changed == ["head.1.weight", "head.1.bias"]
    assert network.head.training


def test_a_body_that_is_free_again_learns() -> None:
    network = small().freeze_body().freeze_body(False)
    assert network.body.training
    assert set(ready(network).values()) == {True}
    assert not network.eval().body.training


def test_weights_of_another_head_move_into_the_body() -> None:
    given, other = small(), small(seed=1, out_channels=5, hidden=(7,))
    head = [value.clone() for value in other.head.parameters()]
    found = other.load_body(given.state_dict())
    assert found.missing == ()
    assert found.unexpected == ("head.1.weight", "head.1.bias")
    for name, value in given.body.state_dict().items():
        assert torch.equal(value, other.body.state_dict()[name])
    assert all(torch.equal(*pair) for pair in zip(head, other.head.parameters(), strict=True))


def test_torchvisions_state_dict_fits_and_what_does_not_is_named() -> None:
    state = dict(small().body.state_dict())
    state["fc.weight"] = torch.zeros(1000, 32)
    del state["bn1.bias"]
    found = small(seed=1).load_body(state)
    assert found.missing == ("bn1.bias",)
    assert found.unexpected == ("fc.weight",)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"encoder.weight": torch.zeros(1)}, "has none of the body's 120 weights"),
        ({"bn1.bias": torch.zeros(8)}, "bn1.bias has shape (8,), the network (4,)"),
    ],
)
def test_weights_of_another_network_are_refused(state: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        small().load_body(state)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_grey_image_gives_the_same_with_any_number_of_channels(channels: int) -> None:
    grey = torch.rand(1, 1, 40, 40)
    rgb, other = small().eval(), small(seed=1, in_channels=channels).eval()
    other.load_body(rgb.state_dict())
    expected = rgb.body(grey.expand(1, 3, 40, 40))
    torch.testing.assert_close(other.body(grey.expand(1, channels, 40, 40)), expected)


def test_kernels_for_more_channels_worked_out_by_hand() -> None:
    weight = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    assert adapt_first_convolution(weight, 2).flatten().tolist() == [4.5, 4.5]
    assert adapt_first_convolution(weight, 3) is weight


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"depth": 101}, "depth is 101; give one of 18, 34, 50"),
        ({"width": 0}, "give at least 1 each"),
        ({"hidden": (4, 0)}, "give at least 1 each"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        small(**wrong)
