# SPDX-License-Identifier: Apache-2.0
"""Rates over layers: equal ratios, every parameter once."""

import pytest
import torch
from small_classes import classifier
from torch import nn

from medvol.training.layer_rates import layer_rates, spread


def test_rates_grow_in_equal_ratios_from_stem_to_head() -> None:
    network = classifier()
    groups = layer_rates(network, 1e-6, 1e-1)
    rates = [group["lr"] for group in groups]
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert groups[0]["params"][0] is network.body.conv1.weight
    assert groups[-1]["params"][-1] is network.head[-1].bias
    optimizer = torch.optim.AdamW(groups)
    given = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert given == sum(p.numel() for p in network.parameters())


def test_equal_ends_give_equal_rates() -> None:
    assert {group["lr"] for group in layer_rates(classifier(), 0.003, 0.003)} == {0.003}


def test_a_single_group_has_the_highest() -> None:
    assert spread(1e-6, 1e-4, 1) == [1e-4]
    assert spread(1.0, 100.0, 3) == pytest.approx([1, 10, 100])


@pytest.mark.parametrize("rates", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_rates_out_of_range_are_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="give rates above 0"):
        spread(*rates, 3)


def test_a_parameter_without_place_or_with_two_is_refused() -> None:
    class Forgets(nn.Linear):
        def layer_groups(self) -> list[list[nn.Parameter]]:
            return [[self.weight]]

    class Doubles(nn.Linear):
        def layer_groups(self) -> list[list[nn.Parameter]]:
            return [[self.weight, self.bias], [self.bias]]

    for network in (Forgets(2, 2), Doubles(2, 2)):
        with pytest.raises(ValueError, match=f"{type(network).__name__}.*each parameter once"):
            layer_rates(network, 1e-3, 1e-2)
