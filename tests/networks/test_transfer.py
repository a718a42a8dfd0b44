# SPDX-License-Identifier: Apache-2.0
"""The parts that classifiers share; what they do with a network is tested by the contract."""

import pytest
import torch
from torch import nn

from medvol.networks.transfer import TransferClassifier, adapt_first_convolution


def tiny() -> TransferClassifier:
    body = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten())
    return TransferClassifier(body, [["0"], ["1"]], features=8, out_channels=2)


def test_kernels_for_more_channels_worked_out_by_hand() -> None:
    weight = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    assert adapt_first_convolution(weight, 1).flatten().tolist() == [9.0]
    assert adapt_first_convolution(weight, 2).flatten().tolist() == [4.5, 4.5]
    assert adapt_first_convolution(weight, 3) is weight
    slab = [0.5, 0.5, 1.0, 1.0, 3.0, 3.0]  # the slices of a channel stand side by side
    assert adapt_first_convolution(weight, 6).flatten().tolist() == slab


def test_counters_of_batches_are_not_missed() -> None:
    state = tiny().body.state_dict()
    del state["1.num_batches_tracked"]
    assert tiny().load_body(state)[1:] == ((), ())
    del state["1.running_mean"]
    with pytest.raises(ValueError, match=r"1 of 7 weights is missing \(1.running_mean\)"):
        tiny().load_body(state)
    assert tiny().load_body(state, may_lack=["1"]).missing == ("1.running_mean",)


def test_a_first_convolution_that_is_none_is_refused() -> None:
    state = {**tiny().body.state_dict(), "0.weight": torch.zeros(2)}
    with pytest.raises(ValueError, match=r"0.weight has shape \(2,\), the network \(2, 1, 1, 1\)"):
        tiny().load_body(state)


def test_the_head_worked_out_by_hand() -> None:
    head = TransferClassifier(nn.Flatten(), [], features=2, out_channels=1, hidden=(1,)).head.eval()
    weights = {"1.weight": [[1.0, -2.0]], "1.bias": [1.0], "4.weight": [[3.0]], "4.bias": [-0.5]}
    head.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    # relu(4 - 2 + 1) * 3 - 0.5, and relu(0 - 8 + 1) * 3 - 0.5
    assert head(torch.tensor([[4.0, 1.0], [0.0, 4.0]])).tolist() == [[8.5], [-0.5]]
