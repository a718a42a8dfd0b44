# SPDX-License-Identifier: Apache-2.0
"""Where the seconds of a run go: those of no stage too, so that they add up to what has passed."""

import os
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ..progress import STAGES

START_FIELD = 19  # of /proc/self/stat, behind the name: clock ticks from boot to start


class Spent:
    """Gives every second to a case: what comes before the first one to that.

    Args:
        before_s: that the run took before this process; None where this process serves many runs.

    Example:
        >>> spent = Spent(None)
        >>> times_s = {"network": 0.0}
        >>> spent.complete(times_s)
        >>> list(times_s)
        ['network', 'other']
    """

    def __init__(self, before_s: float | None) -> None:
        self.since = time.perf_counter()  # what came before belongs to a stage already
        self.once: dict[str, float] = {}
        if before_s is not None:
            self.once["start"] = before_s + age_s()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block to a stage of the next case.

        Args:
            name: of `progress.STAGES`.
        """
        started = time.perf_counter()
        try:
            yield
        finally:
            self.once[name] = self.once.get(name, 0.0) + time.perf_counter() - started

    def complete(self, times_s: MutableMapping[str, float]) -> None:
        """Add to the stages of a case what is of none of them, in the order of `STAGES`.

        Args:
            times_s: stage to seconds, of all stages up to now.
        """
        now = time.perf_counter()
        within = sum(times_s.values()) + sum(self.once.values()) - self.once.get("start", 0.0)
        found = {**self.once, **times_s, "other": max(0.0, now - self.since - within)}
        times_s.clear()
        times_s.update({stage: found[stage] for stage in STAGES if stage in found})
        self.since, self.once = now, {}

    def pass_on(self, seconds: float) -> None:
        """Leave out seconds that a case has counted itself since `complete`."""
        self.since += seconds


def age_s() -> float:
    """Seconds since this process began."""
    with suppress(OSError, AttributeError, ValueError, IndexError):  # only Linux tells it exactly
        said = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        ticks = int(said.rpartition(")")[2].split()[START_FIELD])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - psutil.Process().create_time()
