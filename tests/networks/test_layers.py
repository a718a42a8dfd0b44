# SPDX-License-Identifier: Apache-2.0
"""Layers in order, and a body that stands still, of networks that know of neither and of ours."""

from typing import Any

import pytest
import torch
from monai.networks.nets import UNet
from torch import nn

from medvol.networks.fit import head_of
from medvol.networks.layers import freeze_body, layer_groups
from medvol.networks.resunet import ResUNet
from medvol.networks.slice_classifier import SliceClassifier

SLICES = {"features": (4, 8), "classes": 2, "finding": [1], "pixel_mm2": 2.5}
NETWORKS = {
    "ResUNet": lambda: ResUNet(2, 1, 2, features=(4, 8, 8), norm="batch"),
    "ResUNet with two heads": lambda: ResUNet(
        2, 1, 2, features=(4, 8, 8), norm="batch", deep_supervision=1
    ),
    "SliceClassifier": lambda: SliceClassifier(1, **SLICES),
    "MONAI's UNet": lambda: UNet(2, 1, 2, channels=(4, 8), strides=(2,), norm="batch"),
    "plain": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 1)
    ),
}
each = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def stepped(network: nn.Module) -> set[str]:
    """Names of what a step of training changes."""
    before = {name: x.clone() for name, x in network.state_dict().items()}
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    torch.manual_seed(1)
    network(torch.randn(2, 1, 16, 16)).square().sum().backward()
    optimizer.step()
    return {n for n, x in network.state_dict().items() if not torch.equal(x, before[n])}


@each
def test_groups_hold_every_parameter_once_the_head_last(make: Any) -> None:
    network = make()
    groups = layer_groups(network)
    found = [id(weight) for group in groups for weight in group]
    assert sorted(found) == sorted(map(id, network.parameters()))
    head = {id(p) for name, p in network.named_parameters() if name in head_of(network)}
    assert {*map(id, groups[-1])} == head


def test_a_segmenter_has_its_levels_in_order() -> None:
    network = ResUNet(2, 1, 2, features=(4, 8, 8))
    groups = layer_groups(network)
    assert len(groups) == 6  # two of the encoder, bottleneck, two of the decoder, head
    first, last = [*network.encoder[0].parameters()], [*network.heads.parameters()]
    assert [*map(id, groups[0])] == [*map(id, first)]
    assert [*map(id, groups[-1])] == [*map(id, last)]
    assert any(p is groups[3][0] for p in network.up[0].parameters())


@each
def test_a_frozen_body_keeps_weights_and_statistics_while_the_head_learns(make: Any) -> None:
    torch.manual_seed(0)
    network = make()
    freeze_body(network)
    assert stepped(network) == head_of(network)


@each
def test_a_body_that_is_free_again_learns(make: Any) -> None:
    network = make()
    freeze_body(network)
    freeze_body(network)
    freeze_body(network, False)
    changed = stepped(network)
    assert any(name.endswith("running_mean") for name in changed)
    assert {n for n, _ in network.named_parameters()} - changed <= {"2.bias"}
    assert all(p.requires_grad for p in network.parameters())


def test_a_parameter_in_no_group_is_refused() -> None:
    class Forgets(nn.Linear):
        def layer_groups(self) -> list[list[nn.Parameter]]:
            return [[self.weight]]

    with pytest.raises(ValueError, match=r"Forgets.layer_groups\(\) does not hold each parameter"):
        layer_groups(Forgets(2, 2))
