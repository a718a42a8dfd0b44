# SPDX-License-Identifier: Apache-2.0
"""Networks averaged: probabilities by hand, mirror images turned back, names of weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from medvol.networks.averaged import AveragedNetwork, averaged
from medvol.networks.resunet import ResUNet
from medvol.networks.weights import load_weights


def says(*probabilities: float) -> nn.Module:
    """A network that says the same everywhere."""
    network = nn.Conv2d(1, len(probabilities), 1)
    nn.init.zeros_(network.weight)
    network.bias.data = torch.tensor(probabilities).log()
    return network


class Ramp(nn.Module):
    """Probability of class 1: a tenth at the first place along an axis, more towards the last."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2 + self.axis]
        along = [1] * (x.dim() - 1)
        along[1 + self.axis] = size
        one = torch.linspace(0.1, 0.1 * size, size).view(along).expand(len(x), *x.shape[2:])
        return torch.stack([1 - one, one], 1).log()


def mean_of(network: nn.Module, x: Tensor) -> Tensor:
    return network(x).softmax(1)


def test_probabilities_are_averaged_and_not_scores() -> None:
    """0.9 and 0.3: 0.6; of scores it would be 1 / (1 + sqrt(1/9 * 7/3)) = 0.66."""
    x = torch.zeros(2, 1, 3, 3)
    found = mean_of(AveragedNetwork([says(0.1, 0.9), says(0.7, 0.3)]), x)
    torch.testing.assert_close(found, torch.tensor([0.4, 0.6]).view(1, 2, 1, 1).expand(2, 2, 3, 3))


def test_mirror_images_are_turned_back_along_their_axis_alone() -> None:
    """0.1, 0.2, 0.3, 0.4 and the other way round: 0.25; along the other axis as it is."""
    x = torch.zeros(1, 1, 4, 2)
    ramp = torch.linspace(0.1, 0.4, 4).view(4, 1).expand(4, 2)
    torch.testing.assert_close(mean_of(AveragedNetwork([Ramp(0)], mirror=[0]), x)[0, 1],
                               torch.full((4, 2), 0.25))  # fmt: skip
    torch.testing.assert_close(mean_of(AveragedNetwork([Ramp(0)], mirror=[1]), x)[0, 1], ramp)
    both = AveragedNetwork([Ramp(0), Ramp(1)], mirror=[0, 1])
    assert both.passes == 8
    torch.testing.assert_close(mean_of(both, x)[0, 1], torch.full((4, 2), (0.25 + 0.15) / 2))


@pytest.mark.parametrize("mirror", [[0], [1], [0, 1]])
def test_the_mean_of_a_mirrored_image_is_the_mirrored_mean(mirror: list[int]) -> None:
    torch.manual_seed(0)
    network = AveragedNetwork([ResUNet(2, 3, 2, features=(4, 8))], mirror=mirror).eval()
    x = torch.rand(1, 3, 16, 16)
    for axis in (0, 1):
        turned = network(x.flip(2 + axis)).flip(2 + axis)
        assert torch.allclose(turned, network(x), atol=1e-5) == (axis in mirror)


def test_an_image_has_one_class_whichever_way_it_is_turned() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([1 - x[:, 0, 0, 0], x[:, 0, 0, 0]], 1).log()

    x = torch.tensor([[0.2, 0.5], [0.8, 0.5]]).view(1, 1, 2, 2)
    found = mean_of(AveragedNetwork([Corner()], mirror=[0]), x)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5]]))


def test_what_is_surely_not_there_has_a_finite_score() -> None:
    sure = says(1.0, 0.0)
    sure.bias.data = torch.tensor([200.0, -200.0])
    scores = AveragedNetwork([sure, sure])(torch.zeros(1, 1, 2, 2))
    assert torch.isfinite(scores).all()
    assert scores.softmax(1)[0, :, 0, 0].tolist() == [1, pytest.approx(0, abs=1e-20)]


def test_without_mirror_images_it_is_the_network_itself() -> None:
    network = says(0.5, 0.5)
    assert averaged(network) is network
    assert averaged(network, [0]).passes == 2


def test_one_member_has_the_names_of_its_file_and_several_are_counted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, two = (ResUNet(2, 1, 2, features=(4, 8)).eval() for _ in range(2))
    torch.save(one.state_dict(), tmp_path / "one.pt")
    mirrored = averaged(ResUNet(2, 1, 2, features=(4, 8)), [0]).eval()
    load_weights(tmp_path / "one.pt", mirrored)
    x = torch.rand(1, 1, 8, 8)
    expected = (one(x).softmax(1) + one(x.flip(2)).softmax(1).flip(2)) / 2
    torch.testing.assert_close(mean_of(mirrored, x), expected)
    together = {f"{n}.{name}": w for n, m in enumerate((one, two))
                for name, w in m.state_dict().items()}  # fmt: skip
    torch.save(together, tmp_path / "two.pt")
    new = AveragedNetwork([ResUNet(2, 1, 2, features=(4, 8)) for _ in range(2)])
    wrapped = averaged(new, [1]).eval()  # as a config makes it
    assert [*wrapped.state_dict()] == [*together]
    load_weights(tmp_path / "two.pt", wrapped)
    torch.testing.assert_close(mean_of(new, x), (one(x).softmax(1) + two(x).softmax(1)) / 2)


@pytest.mark.parametrize(("members", "mirror", "words"), [
    ([], [], "there are no members"),
    ([nn.Identity()], [0, 0], r"mirror is \[0, 0\]; give each axis once"),
    ([nn.Identity()], [-1], r"mirror is \[-1\]; give each axis once"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(
    members: list[nn.Module], mirror: list[int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        AveragedNetwork(members, mirror=mirror)
