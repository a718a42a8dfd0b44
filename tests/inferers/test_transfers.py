# SPDX-License-Identifier: Apache-2.0
"""Windows sent ahead to a GPU: with lanes that work late, and in any order that marks leave."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from far import gpu
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from medvol.inferers.sliding_window import FastSlidingWindowInferer
from medvol.inferers.transfers import sent_ahead


@dataclass
class Mark:
    """Whether a lane has come so far."""

    done: bool = False


@dataclass
class Lane:
    """Work that is begun some time, in its order, each piece once its marks are done."""

    pieces: list[tuple[Callable[[], Any], list[Mark]]] = field(default_factory=list)

    def give(self, work: Callable[[], Any], after: list[Mark]) -> Mark:
        mark = Mark()

        def piece() -> None:
            work()
            mark.done = True

        self.pieces.append((piece, after))
        return mark

    @property
    def ready(self) -> bool:
        return bool(self.pieces) and all(mark.done for mark in self.pieces[0][1])


class LateLanes:
    """Lanes of a GPU that do nothing until they must, and then what chance decides.

    Args:
        seed: of chance.
        forgets: what is not waited for: "used", "sent" or "near".
    """

    def __init__(self, seed: int, forgets: str = "") -> None:
        self.drawn, self.forgets = random.Random(seed), forgets
        self.copies, self.computes = Lane(), Lane()
        self.before: list[Mark] = []
        self.events: list[str] = []

    def room(self, like: Tensor, number: int) -> tuple[Tensor, Tensor]:
        return tuple(torch.full((number, *like.shape[1:]), -1.0) for _ in range(2))  # type: ignore[return-value]

    def copy(self, source: Tensor, target: Tensor, after: Mark) -> Mark:
        self.events.append("copy")
        waits = [] if self.forgets == "used" else [after]
        return self.copies.give(lambda: target.copy_(source), waits)

    def mark(self) -> Mark:
        return self.computes.give(lambda: None, [])

    def compute_after(self, mark: Mark) -> None:
        self.before = [] if self.forgets == "sent" else [mark]

    def wait_for(self, mark: Mark) -> None:
        if self.forgets != "near":
            self.work(lambda: mark.done)

    def compute(self, work: Callable[[], Any]) -> None:
        self.events.append("compute")
        self.computes.give(work, self.before)

    def work(self, until: Callable[[], bool]) -> None:
        while not until():
            ready = [lane for lane in (self.copies, self.computes) if lane.ready]
            piece, _ = self.drawn.choice(ready).pieces.pop(0)
            piece()


def batches(sizes: list[int]) -> Iterator[tuple[int, list[Tensor]]]:
    value = 0
    for number, size in enumerate(sizes):
        views = [torch.full((1, 2, 3), float(value + n)) for n in range(size)]
        value += size
        yield number, views


def computed(lanes: LateLanes, sizes: list[int]) -> list[Tensor | None]:
    """The windows that the network has seen, batch by batch, whenever it saw them."""
    found: list[Tensor | None] = [None] * len(sizes)
    for number, windows in sent_ahead(batches(sizes), lanes):
        if windows is not None:

            def look(number: int = number, windows: Tensor = windows) -> None:
                found[number] = windows.clone()

            lanes.compute(look)
    lanes.work(lambda: not lanes.copies.pieces and not lanes.computes.pieces)
    return found


SIZES = [3, 3, 0, 3, 3, 3, 0, 2]


def right(found: list[Tensor | None]) -> bool:
    return all(
        (x is None and not views) or (x is not None and torch.equal(x, torch.cat(views)))
        for x, (_, views) in zip(found, batches(SIZES), strict=True)
    )


def test_each_batch_is_seen_as_it_was_sent_however_late_the_lanes_are() -> None:
    for seed in range(50):
        assert right(computed(LateLanes(seed), SIZES))


@pytest.mark.parametrize("forgets", ["used", "sent", "near"])
def test_each_of_the_waits_is_needed(forgets: str) -> None:
    assert not all(right(computed(LateLanes(seed, forgets), SIZES)) for seed in range(50))


def test_the_next_is_on_its_way_before_one_is_computed() -> None:
    lanes = LateLanes(0)
    computed(lanes, [2, 2, 2, 1])
    assert lanes.events == ["copy", *["copy", "compute"] * 3, "compute"]
    assert [*sent_ahead(batches([]), LateLanes(0))] == []
    assert [*sent_ahead(batches([0]), LateLanes(0))] == [(0, None)]


class Where(nn.Module):
    """Twice the windows, and where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()

    def forward(self, windows: Tensor) -> Tensor:
        self.devices.add(windows.device.type)
        return torch.cat([windows * 2, windows.square()], 1)


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize("stitched", ["cpu", "cuda"])
def test_a_volume_that_stays_on_the_cpu_has_the_scores_of_one_that_does_not(
    mode: str, stitched: str
) -> None:
    volume = torch.rand(1, 1, 13, 9, 10, generator=torch.Generator().manual_seed(0))
    options: dict[str, Any] = {"roi_size": 6, "overlap": 0.5, "mode": mode, "sw_batch_size": 4}
    expected = SlidingWindowInferer(**options)(volume, Where())
    with gpu():
        network = Where()
        inferer = FastSlidingWindowInferer(**options, sw_device="cuda", device=stitched)
        found = torch.cat([x.cpu() for x in inferer.planes(volume, network)], 1)
    assert network.devices == {"cuda"}
    assert torch.equal(found[None], expected)
