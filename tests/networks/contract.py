# SPDX-License-Identifier: Apache-2.0
"""What every network of medvol must do; a new one gets these tests in 3 lines.

    class TestMyNet(SegmentationContract):
        make = MyNet
        settings = {"2D": {"spatial_dims": 2, "in_channels": 1, "out_channels": 3}, "3D": {...}}

`settings` are tiny networks by name, as keyword arguments of `make`; give the plain, cheap ones. A
classifier subclasses `ClassificationContract` and may leave out `spatial_dims`, which then is 2.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

# multiples of the pooling, odd sizes, and sizes below the pooling on an axis
SIZES = {2: [(16, 16), (17, 13), (3, 22)], 3: [(16, 16, 8), (17, 13, 7), (9, 18, 1)]}
Setting = Mapping[str, Any]


def sizes(setting: Setting) -> list[tuple[int, ...]]:
    """Sizes of images a network is given."""
    return SIZES[setting.get("spatial_dims", 2)]


def pictures(setting: Setting, *, size: tuple[int, ...] | None = None, batch: int = 2) -> Tensor:
    """Random input (batch, in_channels, *size) for a network; fixed seed."""
    spatial = size or sizes(setting)[0]
    generator = torch.Generator().manual_seed(11)
    return torch.rand(batch, setting["in_channels"], *spatial, generator=generator)


class NetworkContract:
    """What segmentation networks and classifiers share."""

    make: Callable[..., nn.Module]
    settings: ClassVar[dict[str, dict[str, Any]]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "setting" in metafunc.fixturenames:
            metafunc.parametrize("setting", self.settings.values(), ids=self.settings)

    def network(self, setting: Setting, *, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        made: nn.Module = type(self).make(**setting)
        with torch.no_grad():  # statistics of batch norm that are not 0 and 1
            made.train()(pictures(setting))
        return made.eval()

    def test_scores_are_no_probabilities(self, setting: Setting) -> None:
        scores = self.network(setting)(pictures(setting))
        assert scores.min() < 0
        assert (scores.sum(1) - 1).abs().max() > 0.01

    def test_gradient_reaches_every_parameter(self, setting: Setting) -> None:
        network = self.network(setting).train()
        scores = network(pictures(setting))
        (scores * torch.rand_like(scores)).sum().backward()
        deaf = [
            name
            for name, weights in network.named_parameters()
            if weights.grad is None or not weights.grad.abs().max() > 0
        ]
        assert deaf == []

    def test_the_input_is_left_as_it_is(self, setting: Setting) -> None:
        given = pictures(setting)
        before = given.clone()
        self.network(setting)(given)
        assert torch.equal(given, before)

    def test_weights_saved_and_loaded_give_equal_scores(self, setting: Setting) -> None:
        network, other = self.network(setting), self.network(setting, seed=1)
        given = pictures(setting)
        assert not torch.equal(network(given), other(given))
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(network(given), other(given))

    def test_a_picture_does_not_see_its_batch(self, setting: Setting) -> None:
        network, given = self.network(setting), pictures(setting)
        torch.testing.assert_close(network(given)[:1], network(given[:1]))

    def test_torchscript_gives_the_same_scores(self, setting: Setting) -> None:
        network = self.network(setting)
        scripted = torch.jit.script(network)
        for size in sizes(setting):
            given = pictures(setting, size=size, batch=1)
            torch.testing.assert_close(scripted(given), network(given))

    def test_export_gives_the_same_scores(self, setting: Setting) -> None:
        network, given = self.network(setting), pictures(setting, batch=1)
        exported = torch.export.export(network, (given,)).module()
        torch.testing.assert_close(exported(given), network(given))


class SegmentationContract(NetworkContract):
    """The tests of a segmentation network; subclass it in a test module."""

    def test_the_output_has_a_score_for_each_class_in_each_voxel(self, setting: Setting) -> None:
        network = self.network(setting)
        for size in sizes(setting):
            scores = network(pictures(setting, size=size))
            assert scores.shape == (2, setting["out_channels"], *size)
            assert scores.isfinite().all()


class ClassificationContract(NetworkContract):
    """The tests of a classifier; subclass it in a test module."""

    def test_the_output_has_a_score_for_each_class(self, setting: Setting) -> None:
        network = self.network(setting)
        for size in sizes(setting):
            scores = network(pictures(setting, size=size))
            assert scores.shape == (2, setting["out_channels"])
            assert scores.isfinite().all()
