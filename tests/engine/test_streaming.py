# SPDX-License-Identifier: Apache-2.0
"""Planes of scores are restored while the network runs, and the ladder of memory starts afresh."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose
from torch import Tensor

from medvol.engine.devices import infer_within_memory
from medvol.engine.streaming import Streaming, streams
from medvol.inferers.gated import GatedInferer
from medvol.inferers.slice_stack import SliceStackInferer
from medvol.inferers.sliding_window import FastSlidingWindowInferer


class Largest:
    """Restores to the most probable class, and remembers the planes that came."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "pred": data["pred"].argmax(0)}

    def stream(self, planes: Iterator[Tensor], data: dict[str, Any]) -> dict[str, Any]:
        found = []
        for some in planes:
            self.seen.append(some.shape[1])
            found.append(some.argmax(0))
        return {**data, "pred": torch.cat(found)}


def network(windows: Tensor) -> Tensor:
    return torch.cat([windows, -windows], 1)


@contextmanager
def unguarded() -> Iterator[None]:
    yield


VOLUME = torch.randn(1, 1, 20, 8, 8, generator=torch.Generator().manual_seed(0))


def test_labels_are_those_of_whole_scores() -> None:
    inferer, step = FastSlidingWindowInferer(8, 2, 0.5, mode="gaussian"), Largest()
    found = Streaming(inferer, step, {"image": "here"}, unguarded)(VOLUME, network)
    assert found["image"] == "here"
    assert torch.equal(found["pred"], step({"pred": inferer(VOLUME, network)[0]})["pred"])
    assert step.seen == [4, 4, 4, 4, 4]


def test_seconds_of_the_network_are_its_own() -> None:
    now = Streaming(FastSlidingWindowInferer(8), Largest(), {}, unguarded)
    assert now.network_s == 0
    now(VOLUME, network)
    assert now.network_s > 0


def test_when_memory_ends_the_planes_start_again_with_one_window() -> None:
    batches: list[int] = []

    def short(windows: Tensor) -> Tensor:
        batches.append(len(windows))
        if batches == [2, 2]:
            raise torch.OutOfMemoryError("out of memory")
        return network(windows)

    inferer, step = FastSlidingWindowInferer(8, 2, 0.5), Largest()
    streaming = Streaming(inferer, step, {}, unguarded)
    found, given_up = infer_within_memory(streaming, VOLUME, short)  # type: ignore[arg-type]
    assert given_up == ["Memory was short: one window at a time."]
    assert torch.equal(found["pred"], inferer(VOLUME, network)[0].argmax(0))
    assert batches == [2, 2, 1, 1, 1, 1]


def test_scores_on_another_grid_than_that_of_the_windows_come_as_a_whole() -> None:
    """MONAI brings them to the volume's size."""

    def halved(windows: Tensor) -> Tensor:
        return network(windows[:, :, ::2, ::2, ::2])

    @contextmanager
    def guarded() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise AssertionError("refused") from error

    inferer, step = FastSlidingWindowInferer(8, 2), Largest()
    found = Streaming(inferer, step, {"image": "here"}, guarded)(VOLUME, halved)
    whole = SlidingWindowInferer(8, 2)(VOLUME, halved)
    assert isinstance(whole, Tensor)
    assert found["image"] == "here"
    assert torch.equal(found["pred"], whole[0].argmax(0))


def test_slices_come_as_all_planes_at_once_and_probabilities_of_slices_as_a_whole() -> None:
    inferer, step = SliceStackInferer(1, 3), Largest()
    found = Streaming(inferer, step, {}, unguarded)(VOLUME, network)
    assert torch.equal(found["pred"], inferer(VOLUME, network)[0].argmax(0))
    assert step.seen == [20]
    step.seen.clear()

    def of_slices(slabs: Tensor) -> Tensor:
        return network(slabs).mean((2, 3))

    found = Streaming(inferer, step, {}, unguarded)(VOLUME, of_slices)
    assert torch.equal(found["pred"], inferer(VOLUME, of_slices)[0].argmax(0))
    assert (found["pred"].shape, step.seen) == ((8,), [])


class Gate:
    threshold = None


SLICES = SliceStackInferer(1)
FAST = FastSlidingWindowInferer(8)
GATE: Any = Gate()


@pytest.mark.parametrize(
    ("inferer", "steps", "expected"),
    [
        (FAST, [Largest()], True),
        (GatedInferer(FAST, GATE, classes=2), [Largest(), abs], True),
        (FAST, [abs, Largest()], False),  # something between needs whole scores
        (FAST, [], False),
        (SlidingWindowInferer(8), [Largest()], False),
        (GatedInferer(SlidingWindowInferer(8), GATE, classes=2), [Largest()], False),
        (SLICES, [Largest()], True),
        (GatedInferer(SLICES, GATE, classes=2), [Largest()], True),
        (SLICES, [abs], False),
    ],
)
def test_when_it_streams(inferer: Any, steps: list[Any], expected: bool) -> None:
    assert streams(inferer, Compose(steps)) == expected
