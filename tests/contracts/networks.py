# SPDX-License-Identifier: Apache-2.0
"""What every network of medvol must do; a new one gets these tests in 3 lines.

    class TestMyNet(SegmentationContract):
        make = MyNet
        settings = {"2D": {"spatial_dims": 2, "in_channels": 1, "out_channels": 3}, "3D": {...}}

`settings` are tiny networks by name, as keyword arguments of `make`; give the plain, cheap ones. A
classifier subclasses `ClassificationContract` and may leave out `spatial_dims`, which then is 2.
One with body and head subclasses `TransferContract`; its `smallest` is the number of pixels that it
needs along an axis, its `refused` are wrong arguments by a part of what is said of them. A setting
with `image_size` is given images of that size only.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

# multiples of the pooling, odd sizes, and sizes below the pooling on an axis
SIZES = {2: [(16, 16), (17, 13), (3, 22)], 3: [(16, 16, 8), (17, 13, 7), (9, 18, 1)]}
Setting = Mapping[str, Any]


def sizes(setting: Setting, *, smallest: int = 1) -> list[tuple[int, ...]]:
    """Sizes of images a network is given, the least of them `smallest` where that is above 3."""
    if "image_size" in setting:
        return [setting["image_size"]]
    more = max(0, smallest - 3)
    return [tuple(n + more for n in size) for size in SIZES[setting.get("spatial_dims", 2)]]


def pictures(setting: Setting, *, size: tuple[int, ...] | None = None, batch: int = 2) -> Tensor:
    """Random input (batch, in_channels, *size) for a network; fixed seed."""
    spatial = size or sizes(setting)[0]
    generator = torch.Generator().manual_seed(11)
    return torch.rand(batch, setting["in_channels"], *spatial, generator=generator)


def parameters(network: nn.Module) -> dict[str, Tensor]:
    """Copies of parameters and statistics, by name."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def deaf(network: nn.Module, given: Tensor) -> list[str]:
    """Names of the parameters that no gradient of the scores reaches."""
    scores = network(given)
    (scores * torch.rand_like(scores)).sum().backward()
    return [
        name
        for name, weights in network.named_parameters()
        if weights.grad is None or not weights.grad.abs().max() > 0
    ]


class NetworkContract:
    """What segmentation networks and classifiers share."""

    make: Callable[..., nn.Module]
    settings: ClassVar[dict[str, dict[str, Any]]]
    smallest: ClassVar[int] = 1

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "setting" in metafunc.fixturenames:
            metafunc.parametrize("setting", self.settings.values(), ids=self.settings)

    def sizes(self, setting: Setting) -> list[tuple[int, ...]]:
        return sizes(setting, smallest=self.smallest)

    def given(self, setting: Setting, *, batch: int = 2) -> Tensor:
        return pictures(setting, size=self.sizes(setting)[0], batch=batch)

    def network(self, setting: Setting, *, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        made: nn.Module = type(self).make(**setting)
        with torch.no_grad():  # statistics of batch norm that are not 0 and 1
            made.train()(self.given(setting))
        return made.eval()

    def test_scores_are_no_probabilities(self, setting: Setting) -> None:
        given = self.given(setting)
        scores = self.network(setting)(torch.cat([given, -100 * given]))
        assert scores.min() < 0 or scores.max() > 1
        assert (scores.sum(1) - 1).abs().max() > 0.01

    def test_gradient_reaches_every_parameter(self, setting: Setting) -> None:
        network = self.network(setting).train()
        assert deaf(network, self.given(setting)) == []

    def test_the_input_is_left_as_it_is(self, setting: Setting) -> None:
        given = self.given(setting)
        before = given.clone()
        self.network(setting)(given)
        assert torch.equal(given, before)

    def test_weights_saved_and_loaded_give_equal_scores(self, setting: Setting) -> None:
        network, other = self.network(setting), self.network(setting, seed=1)
        given = self.given(setting)
        assert not torch.equal(network(given), other(given))
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(network(given), other(given))

    def test_a_picture_does_not_see_its_batch(self, setting: Setting) -> None:
        network, given = self.network(setting), self.given(setting)
        torch.testing.assert_close(network(given)[:1], network(given[:1]))

    def test_torchscript_gives_the_same_scores(self, setting: Setting) -> None:
        network = self.network(setting)
        scripted = torch.jit.script(network)
        for size in self.sizes(setting):
            given = pictures(setting, size=size, batch=1)
            torch.testing.assert_close(scripted(given), network(given))

    def test_export_gives_the_same_scores(self, setting: Setting) -> None:
        network, given = self.network(setting), self.given(setting, batch=1)
        exported = torch.export.export(network, (given,)).module()
        torch.testing.assert_close(exported(given), network(given))


class SegmentationContract(NetworkContract):
    """The tests of a segmentation network; subclass it in a test module."""

    def test_the_output_has_a_score_for_each_class_in_each_voxel(self, setting: Setting) -> None:
        network = self.network(setting)
        for size in self.sizes(setting):
            scores = network(pictures(setting, size=size))
            assert scores.shape == (2, setting["out_channels"], *size)
            assert scores.isfinite().all()


class ClassificationContract(NetworkContract):
    """The tests of a classifier; subclass it in a test module."""

    def test_the_output_has_a_score_for_each_class(self, setting: Setting) -> None:
        network = self.network(setting)
        for size in self.sizes(setting):
            scores = network(pictures(setting, size=size))
            assert scores.shape == (2, setting["out_channels"])
            assert scores.isfinite().all()


class TransferContract(ClassificationContract):
    """The tests of a classifier whose body takes weights of others."""

    refused: ClassVar[dict[str, dict[str, Any]]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        super().pytest_generate_tests(metafunc)
        if "reason" in metafunc.fixturenames:
            metafunc.parametrize(("reason", "wrong"), self.refused.items(), ids=self.refused)

    def test_wrong_arguments_are_refused(self, reason: str, wrong: dict[str, Any]) -> None:
        setting = next(iter(self.settings.values()))
        with pytest.raises(ValueError, match=re.escape(reason)):
            type(self).make(**{**setting, **wrong})

    def test_layer_groups_hold_every_parameter_once_from_first_to_head(
        self, setting: Setting
    ) -> None:
        network = self.network(setting)
        groups = network.layer_groups()
        assert len(groups) >= 3
        assert all(groups)
        found = [id(weight) for group in groups for weight in group]
        assert sorted(found) == sorted(map(id, network.parameters()))
        assert groups[0][0] is next(w for w in network.parameters() if w.dim() == 4)
        assert [*map(id, groups[-1])] == [*map(id, network.head.parameters())]

    def test_the_body_of_a_network_for_other_classes_is_taken(self, setting: Setting) -> None:
        given = self.network(setting)
        other = self.network({**setting, "out_channels": 5}, seed=1)
        before = parameters(other)
        found = other.load_body(given.state_dict())
        assert found.missing == ()
        assert set(found.unexpected) == {n for n in given.state_dict() if n.startswith("head.")}
        for name, value in other.state_dict().items():
            expected = before[name] if name.startswith("head.") else given.state_dict()[name]
            assert torch.equal(value, expected), name

    def test_a_grey_image_gives_the_same_with_any_number_of_channels(
        self, setting: Setting
    ) -> None:
        given = self.network({**setting, "in_channels": 3})
        grey = torch.rand(1, 1, *self.sizes(setting)[0])
        for channels in (1, 2, 5):
            other = self.network({**setting, "in_channels": channels}, seed=1)
            other.load_body(given.state_dict())
            expected = given.body(grey.expand(-1, 3, -1, -1))
            found = other.body(grey.expand(-1, channels, -1, -1))
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_what_is_missing_is_refused_unless_it_is_named(self, setting: Setting) -> None:
        state = dict(self.network(setting).body.state_dict())
        gone = [name for name in state if name.endswith("weight")][-1]
        del state[gone]
        state["fc.weight"] = torch.zeros(1000, 8)
        network = self.network(setting, seed=1)
        with pytest.raises(ValueError, match=rf"weights is missing \({re.escape(gone)}\)"):
            network.load_body(state)
        _, *left = network.load_body(state, may_lack=[gone])
        assert left == [(gone,), ("fc.weight",)]

    def test_weights_of_another_network_are_refused(self, setting: Setting) -> None:
        network = self.network(setting)
        with pytest.raises(ValueError, match="the state dict has none of the body's"):
            network.load_body({"encoder.weight": torch.zeros(1)})
        name, value = next((n, v) for n, v in network.state_dict().items() if v.dim() == 4)
        with pytest.raises(ValueError, match=r"has shape .*, the network .*; give weights of the"):
            network.load_body({name: torch.zeros(len(value) + 1, *value.shape[1:])})

    def test_a_frozen_body_keeps_weights_and_statistics_while_the_head_learns(
        self, setting: Setting
    ) -> None:
        network = self.network(setting).freeze_body().train()
        before = parameters(network)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        network(self.given(setting)).square().sum().backward()
        optimizer.step()
        changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
        assert changed == {n for n in before if n.startswith("head.")}
        assert network.head.training

    def test_a_body_that_is_free_again_learns(self, setting: Setting) -> None:
        network = self.network(setting).freeze_body().train().freeze_body(False)
        assert network.body.training
        assert all(weight.requires_grad for weight in network.parameters())
        assert not network.eval().body.training

    def test_images_that_are_too_small_are_refused(self, setting: Setting) -> None:
        network = self.network(setting)
        rows, columns = self.sizes(setting)[0]
        if "image_size" in setting:
            said = f"the images have {rows - 1} x {columns} pixels, the network takes {rows} x"
            small = (rows - 1, columns)
        else:
            assert network.smallest == self.smallest
            said = f"give at least {self.smallest} x {self.smallest}"
            small = (self.smallest - 1, columns)
        if min(small) > 0:
            with pytest.raises(ValueError, match=said):
                network(pictures(setting, size=small))
