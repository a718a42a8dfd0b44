# SPDX-License-Identifier: Apache-2.0
"""What every dict transform of medvol must do; a new one gets these tests in 3 lines.

    class TestWindowHUd(TransformContract):
        make = WindowHUd
        settings = {"lung": {"keys": "image"}}

`settings` are arguments of `make` by name. `sample` says which items are there for it; add to them
in `more`. Its `changed` are the items that it makes or changes; `image` is the default.
What draws at random is found by its class, and so is what has an `inverse`.
"""

import pickle
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, InvertibleTransform, Randomizable
from torch import Tensor

AFFINE = np.array([[1.5, 0, 0, -10], [0, 2, 0, 20], [0, 0, 4, 5], [0, 0, 0, 1]])
Setting = Mapping[str, Any]


def sample() -> dict[Hashable, Any]:
    """A tiny chest: HU, labels 0 to 3 (3 is lung), probabilities, a slab and a picture."""
    generator = torch.Generator().manual_seed(5)
    image = torch.full((1, 12, 14, 8), -1000.0)
    image[:, 1:11, 1:13] = 40.0
    image[:, 3:9, 3:11, 2:6] = -850.0
    image += 5 * torch.randn(image.shape, generator=generator)
    label = torch.zeros(1, 12, 14, 8, dtype=torch.uint8)
    label[:, 3:9, 3:11, 2:6] = 3
    label[:, 4:6, 4:6, 3:5] = 1
    scores = torch.randn(4, 12, 14, 8, generator=generator).softmax(0)
    affine = torch.as_tensor(AFFINE)
    placed = {"image": image, "label": label, "pred": scores}
    return {
        **{name: MetaTensor(value, affine=affine) for name, value in placed.items()},
        "picture": torch.rand(1, 9, 7, generator=generator),
        "slab": torch.rand(3, 6, 5, generator=generator),
        "case": "a",
    }


def same(one: Any, other: Any) -> bool:
    """Equal in kind, values and place."""
    if type(one) is not type(other):
        return False
    if not isinstance(one, Tensor):
        return bool(one == other)
    placed = not isinstance(one, MetaTensor) or torch.equal(one.affine, other.affine)
    return placed and torch.equal(torch.as_tensor(one), torch.as_tensor(other))


class TransformContract:
    """The tests of a dict transform; subclass it in a test module."""

    make: Callable[..., Any]
    settings: ClassVar[dict[str, dict[str, Any]]]
    changed: ClassVar[tuple[str, ...]] = ("image",)
    more: ClassVar[dict[str, Callable[[], Any]]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "setting" in metafunc.fixturenames:
            metafunc.parametrize("setting", self.settings.values(), ids=self.settings)

    def data(self) -> dict[Hashable, Any]:
        return {**sample(), **{name: made() for name, made in self.more.items()}}

    def made(self, setting: Setting, seed: int = 0) -> Any:
        transform = type(self).make(**setting)
        if isinstance(transform, Randomizable):
            transform.set_random_state(seed)
        return transform

    def test_it_changes_its_items_and_lets_all_others_pass(self, setting: Setting) -> None:
        data = self.data()
        result = self.made(setting)(data)
        assert result is not data
        for name in {*data, *result}:
            if name not in self.changed:
                assert result.get(name) is data.get(name) or name not in result, name
        assert any(not same(data.get(n), result[n]) for n in self.changed if n in result)

    def test_what_was_given_is_left_as_it_is(self, setting: Setting) -> None:
        data, before = self.data(), self.data()
        self.made(setting)(data)
        assert data.keys() == before.keys()
        assert [name for name in data if not same(data[name], before[name])] == []

    def test_twice_gives_the_same_also_in_another_process(self, setting: Setting) -> None:
        one, other = self.made(setting), self.made(setting)
        if "transform" not in setting:  # MONAI knows the chain to undo by its place in memory
            other = pickle.loads(pickle.dumps(other))
        first, second = one(self.data()), other(self.data())
        assert all(same(first[n], second[n]) for n in self.changed if n in first)

    def test_what_is_drawn_follows_the_seed(self, setting: Setting) -> None:
        transform = self.made(setting)
        if not isinstance(transform, Randomizable):
            return
        drawn = [self.made(setting, seed)(self.data()) for seed in range(12)]
        assert any(not same(drawn[0][n], d[n]) for d in drawn for n in self.changed if n in d)

    def test_it_runs_in_a_chain(self, setting: Setting) -> None:
        alone = self.made(setting)(self.data())
        composed = Compose([self.made(setting)])
        if isinstance(self.made(setting), Randomizable):
            composed.transforms[0].set_random_state(0)
        found = composed(self.data())
        assert all(same(alone[n], found[n]) for n in self.changed if n in alone)

    def test_what_has_an_inverse_comes_back_to_its_grid(self, setting: Setting) -> None:
        transform = self.made(setting)
        if not isinstance(transform, InvertibleTransform) or "transform" in setting:
            return
        data = self.data()
        back = transform.inverse(transform(data))
        for name in self.changed:
            assert back[name].shape == data[name].shape
            assert torch.allclose(back[name].affine, data[name].affine)
            assert back[name].applied_operations == []

    def test_a_missing_item_is_named_or_passed_over(self, setting: Setting) -> None:
        transform, data = self.made(setting), self.data()
        gone = next((k for k in getattr(transform, "keys", ()) if k in data), None)
        if gone is None:
            return
        del data[gone]
        if getattr(transform, "allow_missing_keys", False):
            assert gone not in transform(data)
        else:
            with pytest.raises(KeyError, match=str(gone)):
                transform(data)
