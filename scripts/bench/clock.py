# SPDX-License-Identifier: Apache-2.0
"""Where the seconds and the memory of a side are, found out from outside of what is measured."""

import functools
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

GIB = 1 << 30


class Clock:
    """Seconds by name, of calls of functions; of those that ran side by side each second once."""

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.lock = threading.Lock()

    def times(self, owner: Any, name: str, word: str) -> None:
        """From now on each call of `owner.name` counts under this word.

        Args:
            owner: a class or an object.
            name: of a method.
            word: what its seconds are called.
        """
        given = getattr(owner, name)

        @functools.wraps(given)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return given(*args, **kwargs)
            finally:
                with self.lock:
                    self.calls[word].append((started, time.perf_counter()))

        setattr(owner, name, timed)

    def seconds(self) -> dict[str, float]:
        """Of each word."""
        return {word: _covered(calls) for word, calls in self.calls.items()}


def _covered(calls: list[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of the intervals."""
    total, until = 0.0, float("-inf")
    for started, ended in sorted(calls):
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def peak_gib() -> float:
    """Most resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would begin with the memory of the process that started it
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(row.split()[1]) for row in lines if row.startswith("VmHWM:")) / 2**20
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / GIB if sys.platform == "darwin" else most / 2**20


def age_s() -> float:
    """Seconds since this process began."""
    import psutil

    return time.time() - psutil.Process().create_time()


def own_cpu_s() -> float:
    """Seconds of processors of this process and of all that it started and that ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class Others:
    """Seconds of processors that went to processes which are not of this benchmark."""

    def __init__(self) -> None:
        self.began = self._busy_s()

    def seconds(self) -> float:
        """Since it was made; processes of this one must have ended."""
        return max(0.0, self._busy_s() - self.began)

    @staticmethod
    def _busy_s() -> float:
        import psutil

        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user too
        return sum(times) - idle - guest - own_cpu_s()


class Tree:
    """Most memory of a process and all that it starts, looked at while it runs.

    Args:
        pid: of the process.
    """

    EVERY_S = 0.05

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        import psutil

        while not self.ended.wait(self.EVERY_S):
            total = 0
            try:
                root = psutil.Process(self.pid)
                for process in (root, *root.children(recursive=True)):
                    total += process.memory_info().rss
            except psutil.Error:
                continue
            self.most = max(self.most, total)

    def gib(self) -> float:
        """The most there was; ends the looking."""
        self.ended.set()
        self.thread.join()
        return self.most / GIB
