# SPDX-License-Identifier: Apache-2.0
"""EfficientNet: the family's contract, and names of torchvision and timm."""

from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import TransferContract
from torch import Tensor, nn

from medvol.networks.efficientnet_classifier import (
    TIMM,
    TORCHVISION,
    EfficientNetClassifier,
    names_from,
)

SMALL: dict[str, Any] = {"in_channels": 3, "out_channels": 2, "width": 0.2, "dropout": 0.0}
# of B0 by its table: blocks of the stages, then whether they expand
STAGES = [(1, False), (2, True), (2, True), (3, True), (3, True), (4, True), (1, True)]


class TestEfficientNetClassifier(TransferContract):
    make = EfficientNetClassifier
    settings: ClassVar = {"small": {**SMALL, "stochastic_depth": 0.0}}
    refused: ClassVar = {
        "variant is 'b9'; give one of b0, b1, b2, b3, b4": {"variant": "b9"},
        "width is 0; give a multiple above 0": {"width": 0},
        "stochastic_depth is 1; give 0 or more, below 1": {"stochastic_depth": 1},
        "in_channels is 0; give at least 1": {"in_channels": 0},
    }


# as torchvision states them
@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("b0", 5_288_548), ("b1", 7_794_184), ("b2", 9_109_994), ("b3", 12_233_232),
        ("b4", 19_341_616),
    ],
)  # fmt: skip
def test_the_published_networks(variant: str, expected: int) -> None:
    with torch.device("meta"):
        network = EfficientNetClassifier(3, 1000, variant=variant)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def of_torchvision() -> list[tuple[str, str]]:
    """Convolutions and norms of B0 in their order, with the kind, as torchvision names them."""
    names = [("features.0.0", "conv"), ("features.0.1", "norm")]
    for stage, (blocks, expands) in enumerate(STAGES, 1):
        for block in range(blocks):
            start, part = f"features.{stage}.{block}.block", 0
            if expands:
                names += [(f"{start}.0.0", "conv"), (f"{start}.0.1", "norm")]
                part = 1
            names += [(f"{start}.{part}.0", "conv"), (f"{start}.{part}.1", "norm")]
            names += [(f"{start}.{part + 1}.fc1", "se"), (f"{start}.{part + 1}.fc2", "se")]
            names += [(f"{start}.{part + 2}.0", "conv"), (f"{start}.{part + 2}.1", "norm")]
    return [*names, ("features.8.0", "conv"), ("features.8.1", "norm")]


def of_timm() -> list[tuple[str, str]]:
    """The same, as timm names them."""
    names = [("conv_stem", "conv"), ("bn1", "norm")]
    for stage, (blocks, expands) in enumerate(STAGES):
        for block in range(blocks):
            start = f"blocks.{stage}.{block}"
            if expands:
                layers = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
            else:
                layers = ["conv_dw", "bn1", "conv_pw", "bn2"]
            squeeze = ["se.conv_reduce", "se.conv_expand"]
            for part in [*layers[:-2], *squeeze, *layers[-2:]]:
                kind = "conv" if part.startswith("conv") else "norm"
                names.append((f"{start}.{part}", "se" if part in squeeze else kind))
    return [*names, ("conv_head", "conv"), ("bn2", "norm")]


def in_order(network: EfficientNetClassifier) -> list[nn.Module]:
    """Convolutions and norms of the body, in the order in which an image passes them."""
    passed: list[nn.Module] = []
    for part in network.body.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
            part.register_forward_hook(lambda layer, *_: passed.append(layer))
    network.eval()(torch.zeros(1, 3, 32, 32))
    return passed


def foreign(names: list[tuple[str, str]], like: list[nn.Module]) -> dict[str, Tensor]:
    """A state dict of these names, with values that tell one weight from another."""
    state: dict[str, Tensor] = {}
    kinds = {
        "conv": ["weight"], "se": ["weight", "bias"],
        "norm": ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"],
    }  # fmt: skip
    for (name, kind), layer in zip(names, like, strict=True):
        for entry in kinds[kind]:
            shaped = layer.state_dict()[entry]
            state[f"{name}.{entry}"] = torch.full_like(shaped, len(state))
    return state


LAYOUTS = {
    "torchvision": (of_torchvision(), "classifier.1."),
    "timm": (of_timm(), "classifier."),
}


@pytest.mark.parametrize(("names", "last"), LAYOUTS.values(), ids=LAYOUTS)
def test_foreign_weights_come_to_the_layers_that_do_the_same(
    names: list[tuple[str, str]], last: str
) -> None:
    network = EfficientNetClassifier(**SMALL)
    layers = in_order(network)
    state = foreign(names, layers)
    head = {f"{last}weight": torch.zeros(1000, 8), f"{last}bias": torch.zeros(1000)}
    assert network.load_body({**state, **head})[1:] == ((), tuple(head))
    for (name, _), layer in zip(names, layers, strict=True):
        for entry, value in layer.state_dict().items():
            assert torch.equal(value, state[f"{name}.{entry}"]), name


def test_names_worked_out_by_hand() -> None:
    own = [
        "_bn1.bias", "_blocks.0.0._bn2.weight", "_blocks.1.1._expand_conv.weight",
        "_blocks.1.2._expand_conv.weight", "_blocks.1.2._se_reduce.bias",
    ]  # fmt: skip
    assert list(names_from(TORCHVISION, own)) == [
        "features.3.1.bias", "features.1.0.block.2.1.weight", "features.2.0.block.0.0.weight",
        "features.2.1.block.0.0.weight", "features.2.1.block.2.fc1.bias",
    ]  # fmt: skip
    assert list(names_from(TIMM, own)) == [
        "bn2.bias", "blocks.0.0.bn2.weight", "blocks.1.0.conv_pw.weight",
        "blocks.1.1.conv_pw.weight", "blocks.1.1.se.conv_reduce.bias",
    ]  # fmt: skip


def test_every_convolution_halves_or_keeps_odd_sizes_alike_on_both_sides() -> None:
    network = EfficientNetClassifier(**SMALL).eval()
    sizes = []
    network.body._conv_head.register_forward_hook(lambda *a: sizes.append(tuple(a[2].shape[2:])))
    network(torch.rand(1, 3, 65, 224))
    assert sizes == [(3, 7)]  # 33, 17, 9, 5, 3
    picture = torch.rand(1, 3, 33, 33)  # odd, so that it is halved alike from both sides
    with torch.no_grad():
        for part in network.body.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.copy_((part.weight + part.weight.flip(3)) / 2)
    assert network(picture).std() > 0
    torch.testing.assert_close(network(picture.flip(3)), network(picture))


def test_blocks_are_left_out_while_training_only() -> None:
    torch.manual_seed(0)
    network = EfficientNetClassifier(**{**SMALL, "stochastic_depth": 0.9})
    picture = torch.rand(4, 3, 32, 32)
    assert not torch.equal(network.train()(picture), network(picture))
    assert torch.equal(network.eval()(picture), network(picture))
