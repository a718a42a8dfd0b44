# SPDX-License-Identifier: Apache-2.0
"""MixStyle: styles between two images, in training alone, and gone when it ends."""

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from medvol.training.mix_style import MixStyle, mixed


def features() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def styles(given: torch.Tensor) -> torch.Tensor:
    return torch.stack([given.mean((2, 3)), given.std((2, 3), correction=0)])


def test_styles_lie_between_those_of_two_images() -> None:
    given, order = features(), torch.tensor([1, 2, 3, 0])
    shares = torch.tensor([0.0, 0.25, 1.0, 0.5])
    made = mixed(given, order, shares)
    own, other = styles(given), styles(given)[:, order]
    share = shares[None, :, None]
    torch.testing.assert_close(styles(made), share * own + (1 - share) * other)
    torch.testing.assert_close(made[2], given[2])  # all its own


def test_shapes_stay_as_they_are() -> None:
    """Without mean and deviation nothing is left of the mixing."""
    given = features()
    made = mixed(given, torch.tensor([3, 0, 1, 2]), torch.full((4,), 0.3))
    plain = nn.InstanceNorm2d(3, eps=0)
    torch.testing.assert_close(plain(made), plain(given), atol=1e-4, rtol=1e-4)


def run(network: nn.Module, probability: float, *, training: bool = True) -> torch.Tensor:
    """What comes out of a batch in a training of one step."""
    network.train(training)
    found = []

    def step(*_: object) -> None:
        found.append(network(features()))

    torch.manual_seed(0)
    engine = Engine(step)
    MixStyle(network, ["1"], probability).attach(engine)
    engine.run([0])
    return found[0]


def test_it_mixes_in_training_alone() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Identity(), nn.Hardtanh())
    plain = network(features())
    assert not torch.equal(run(network, 1.0), plain)
    assert torch.equal(run(network, 1.0, training=False), plain)
    assert torch.equal(run(network, 0.0), plain)
    assert torch.equal(network.train()(features()), plain)  # its end took the mixing away


def test_a_frozen_layer_is_left_alone() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Identity())
    network.train()
    network[1].eval()
    mix = MixStyle(network, ["1"], 1.0)
    mix.begin()
    assert torch.equal(network(features()), features().relu())


def test_gradients_pass() -> None:
    given = features().requires_grad_()
    mixed(given, torch.tensor([1, 0, 3, 2]), torch.full((4,), 0.5)).sum().backward()
    assert float(given.grad.abs().min()) > 0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"probability is 1\.5; give 0 to 1"):
        MixStyle(nn.Sequential(), [], 1.5)
    with pytest.raises(AttributeError, match="b"):
        MixStyle(nn.Sequential(), ["b"], 0.5)
