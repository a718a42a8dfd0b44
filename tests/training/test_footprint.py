# SPDX-License-Identifier: Apache-2.0
"""Memory of a step: what is kept for the way back, counted by hand; the network stays as it was."""

import torch
from torch import nn

from medvol.networks.resunet import ResUNet
from medvol.training.footprint import BASE_BYTES, kept_bytes, step_bytes


def test_what_is_kept_is_counted_once() -> None:
    """The input (10 x 10) for the convolution, the ReLU's result (2 x 8 x 8) once for both layers
    that need it; weights and the last result are not kept."""
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 1))
    assert kept_bytes(layers, (1, 10, 10)) == 4 * (100 + 128)


def test_it_grows_with_the_voxels() -> None:
    network = ResUNet(2, 1, 2, features=(4, 8), norm="instance")
    small, large = (kept_bytes(network, (1, n, n)) / n**2 for n in (16, 32))
    assert abs(small / large - 1) < 0.02


def test_a_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.random.get_rng_state()
    kept_bytes(network, (1, 8, 8))
    assert not any(part.training for part in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(p.grad is None for p in network.parameters())


def test_a_step_needs_weights_four_times_and_what_is_kept_twice() -> None:
    network = nn.Linear(3, 2)  # 8 weights
    found = step_bytes(network, (1, 10, 20), batch=4, kept=100)
    assert found == BASE_BYTES + 8 * 16 + 4 * 200 * 100 * 2
