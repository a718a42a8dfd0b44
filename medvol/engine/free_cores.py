# SPDX-License-Identifier: Apache-2.0
"""How many threads compute: as many as asked for, or as there are cores that others leave free."""

import os
import time
from typing import NamedTuple

MOMENT_S = 0.2  # the clocks of cores tick every 0.01 s
LONG_AGO_S = 30.0  # how busy cores were before is no matter
IDLE = {"idle", "iowait", "guest", "guest_nice"}  # guests are counted in user and nice


class Clocks(NamedTuple):
    """Seconds that have passed, by the wall and in work: of cores, and of this process on them.

    Args:
        wall_s: since any moment.
        busy_s: that all cores together were not idle.
        own_s: of these in this process.
        cores: that this process may use.
    """

    wall_s: float
    busy_s: float
    own_s: float
    cores: int


class Threads(NamedTuple):
    """How many threads compute, and why, in a few words."""

    number: int
    why: str


_begun: Clocks | None = None
_set: tuple[int, int] | None = None  # threads that torch had, and those that it was given here


def begin() -> Clocks:
    """Begin to measure how busy the cores are, unless that was begun a moment ago.

    Returns:
        The clocks as they were then.
    """
    global _begun
    now = clocks()
    if _begun is None or now.wall_s - _begun.wall_s > LONG_AGO_S:
        _begun = now
    return _begun


def take_threads(asked: int | None) -> Threads:
    """Let torch compute with as many threads as are asked for, or as there are free cores.

    A thread on a core that another process keeps busy makes the others wait for it, and two are
    slower than one. What the cores are busy with since `begin` is measured, for 0.2 s at least.

    Args:
        asked: 1 or more; None for what is free, at least 1 and at most what torch has of itself.
    """
    import torch  # here: a command begins to measure before that is loaded

    global _begun, _set
    usual = torch.get_num_threads()
    if _set is not None and _set[1] == usual:  # else somebody else has set it since
        usual = _set[0]
    if asked is not None:
        found = Threads(asked, "asked for")
    elif usual == 1:
        found = Threads(1, "torch has one")
    else:
        begun, _begun = begin(), None
        time.sleep(max(0.0, MOMENT_S - (time.perf_counter() - begun.wall_s)))
        found = free_threads(begun, clocks(), usual)
    torch.set_num_threads(found.number)
    _set = usual, found.number
    return found


def free_threads(begun: Clocks, now: Clocks, usual: int) -> Threads:
    """As many threads as there are cores that other processes left free.

    Args:
        begun, now: between which it is measured.
        usual: threads where nothing else runs; there are never more.

    Example:
        >>> begun = Clocks(wall_s=5.0, busy_s=0.0, own_s=0.0, cores=2)
        >>> free_threads(begun, Clocks(6.0, 1.9, 1.0, 2), 2)
        Threads(number=1, why='other processes keep 0.9 of 2 cores busy')
        >>> free_threads(begun, Clocks(6.0, 1.9, 1.5, 2), 2)
        Threads(number=2, why='no other process keeps a core busy')
    """
    others = (now.busy_s - begun.busy_s) - (now.own_s - begun.own_s)
    busy = max(0.0, others / (now.wall_s - begun.wall_s))
    number = max(1, min(usual, now.cores - int(busy + 0.5)))
    if busy < 0.5:
        return Threads(number, "no other process keeps a core busy")
    return Threads(number, f"other processes keep {busy:.1f} of {now.cores} cores busy")


def clocks() -> Clocks:
    """Those of the cores that this process may use, at the moment."""
    import psutil  # here: what is explained is known to the command line, which loads little

    every = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):  # Linux
        every = [every[core] for core in os.sched_getaffinity(0) if core < len(every)]
    busy = sum(s for core in every for name, s in core._asdict().items() if name not in IDLE)
    own = os.times()
    return Clocks(time.perf_counter(), busy, own.user + own.system, len(every))
