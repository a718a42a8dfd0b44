# SPDX-License-Identifier: Apache-2.0
"""Kills processes of a cohort that is at work, at random moments, and says which unit each had."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from medvol.cohort.ledger import RUNNING, Ledger
from medvol.cohort.unit import MOST_DEATHS

from .cohort_stub import FILE

CHILD, WORKER, DRIVER, SCHEDULER = "child", "worker", "driver", "scheduler"
NANNY = "nanny"  # starts workers, where they are not the driver's own
OFTEN = {CHILD: 5, WORKER: 4, DRIVER: 1, SCHEDULER: 1}
PAUSE_S = (0.0, 1.0)  # before a kill
AT_START = 0.1  # share of kills that do not wait until a case is worked on
START_S = 15.0  # for all to start again


class Killer:
    """Kills what is there.

    Args:
        out: folder of the cohort.
        log: folder of the stub's notes.
        running: gives the processes that were started, by what they are; theirs are found.
        seed: of all that is drawn.

    Attributes:
        kills: how many of each kind.
        hit: units whose child was killed at them: none is hit twice, else it would be given up.
    """

    def __init__(
        self, out: Path, log: Path, running: Callable[[], Mapping[str, int]], *, seed: int = 0
    ) -> None:
        self.out, self.log, self.running = out, log, running
        self.draw = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.hit: set[str] = set()

    def strike(self) -> str:
        """Kill one process; what it was, or empty where there was none.

        Mostly when somebody is at work on a case; now and then also while all starts again.
        """
        kind = self.draw.choices([*OFTEN], [*OFTEN.values()])[0]
        if self.draw.random() > AT_START:
            self._wait_for_work()
        time.sleep(self.draw.uniform(*PAUSE_S))
        there = self._there()[kind]
        if not there:
            return ""
        pid = self.draw.choice(there)
        with suppress(ProcessLookupError):
            may = self._may_die(pid) if kind == CHILD else not self._would_be_too_much()
            if not may:
                return ""
            os.kill(pid, signal.SIGKILL)
            self.kills[kind] += 1
            return kind
        return ""

    def _wait_for_work(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until and not self._there()[CHILD]:
            time.sleep(0.05)

    def _there(self) -> dict[str, list[int]]:
        started = self.running()
        there = {kind: [started[kind]] if kind in started else [] for kind in OFTEN}
        for pid in started.values():
            with suppress(psutil.Error):
                for process in psutil.Process(pid).children(recursive=True):
                    with suppress(psutil.Error):
                        if kind := _kind(process):
                            there[kind].append(process.pid)
        return there

    def _may_die(self, pid: int) -> bool:
        """Whether a child is at no unit that was hit before; it stands still from here on.

        One that has begun none yet may be blamed for any of those that its worker has.
        """
        os.kill(pid, signal.SIGSTOP)
        key = at_work(self.log, pid)
        keys = {key} if key else self._of_worker(psutil.Process(pid).ppid())
        if keys & self.hit:
            os.kill(pid, signal.SIGCONT)
            return False
        self.hit |= keys
        return True

    def _would_be_too_much(self) -> bool:
        """Whether a unit is at work that is given up with the next worker."""
        ledger = Ledger(self.out)
        ledger.refresh()
        return any(x.deaths >= MOST_DEATHS - 1 for x in ledger.states.values() if not x.is_ended)

    def _of_worker(self, pid: int) -> set[str]:
        ledger = Ledger(self.out)
        ledger.refresh()
        return {key for key, x in ledger.states.items() if (x.state, x.pid) == (RUNNING, pid)}


def _kind(process: psutil.Process) -> str:
    """What a process below a driver or a Dask worker is."""
    words = " ".join(process.cmdline())
    if "import serve; serve()" in words:
        return CHILD
    return WORKER if "spawn_main" in words else ""


def at_work(log: Path, pid: int) -> str:
    """Key of the unit that a child has begun and not ended; empty where there is none."""
    key = ""
    path = log / FILE
    for line in path.read_text().splitlines() if path.is_file() else ():
        _, number, word, unit = line.split(" ", 3)
        if int(number) == pid and word in ("begin", "end"):
            key = unit if word == "begin" else ""
    return key


def notes(log: Path) -> list[tuple[float, int, str, str]]:
    """What the stub noted: time, process, word and key."""
    found = []
    path = log / FILE
    for line in path.read_text().splitlines() if path.is_file() else ():
        moment, pid, word, key = line.split(" ", 3)
        found.append((float(moment), int(pid), word, key))
    return sorted(found)
