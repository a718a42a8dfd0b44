# SPDX-License-Identifier: Apache-2.0
"""Threads for the cores that others leave free, in planted loads and in a real one."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

from medvol.engine import free_cores
from medvol.engine.free_cores import Clocks, clocks, free_threads, take_threads


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch has two threads of its own, as on a machine of two cores, and nothing was measured."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(free_cores, "_begun", None)
    monkeypatch.setattr(free_cores, "_set", None)
    monkeypatch.setattr(free_cores, "MOMENT_S", 0.0)
    yield
    torch.set_num_threads(threads)


def plant(monkeypatch: pytest.MonkeyPatch, others: float) -> None:
    """Other processes keep so many of two cores busy, this one half of one."""

    def planted() -> Clocks:
        now = time.perf_counter()
        return Clocks(now, (others + 0.5) * now, 0.5 * now, 2)

    monkeypatch.setattr(free_cores, "clocks", planted)


@pytest.mark.parametrize(
    ("others", "cores", "usual", "number"),
    [
        (0.0, 2, 2, 2), (0.49, 2, 2, 2), (0.51, 2, 2, 1), (1.4, 2, 2, 1), (2.0, 2, 2, 1),
        (3.0, 2, 2, 1),  # a clock that is behind another
        (2.0, 8, 8, 6), (3.0, 8, 2, 2), (7.0, 8, 2, 1),  # torch has fewer than there are cores
        (-0.3, 4, 4, 4), (0.0, 2, 4, 2),
    ],
)  # fmt: skip
def test_cores_that_are_free(others: float, cores: int, usual: int, number: int) -> None:
    begun, now = Clocks(10.0, 50.0, 7.0, cores), Clocks(14.0, 50.0 + 4 * others + 3, 10.0, cores)
    found = free_threads(begun, now, usual)
    assert found.number == number
    assert found.why.startswith("other" if others >= 0.5 else "no other")


def test_threads_follow_the_load_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    for others, number in ((1.0, 1), (0.0, 2), (1.6, 1), (0.2, 2)):
        plant(monkeypatch, others)
        assert take_threads(None).number == torch.get_num_threads() == number


def test_what_is_asked_for_is_taken_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, 1.0)
    assert take_threads(3) == (3, "asked for")
    assert torch.get_num_threads() == 3
    plant(monkeypatch, 0.0)
    assert take_threads(None).number == 2


def test_threads_that_somebody_else_has_set_are_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch, 1.0)
    assert take_threads(None).number == 1
    torch.set_num_threads(3)
    plant(monkeypatch, 0.0)
    assert take_threads(None).number == 2  # there are two cores
    torch.set_num_threads(1)
    assert take_threads(None) == (1, "torch has one")


def test_a_process_that_keeps_a_core_busy_is_seen_and_this_one_is_not() -> None:
    """Both work for a moment: of what the cores did, all but this process's share is others'."""
    begun = clocks()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    alone = clocks()
    assert alone.own_s - begun.own_s > 0.1
    assert alone.busy_s - begun.busy_s > 0.1
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        begun = clocks()
        time.sleep(1.0)
        now = clocks()
    finally:
        busy.kill()
        busy.wait()
    assert now.own_s - begun.own_s < 0.5
    assert now.busy_s - begun.busy_s > 0.4
