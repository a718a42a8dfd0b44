# SPDX-License-Identifier: Apache-2.0
"""The processes of a cohort at work; those that end are started again, as somebody would do."""

import argparse
import subprocess
import sys
import time
from collections import Counter
from types import TracebackType

from .cohort_kills import DRIVER, NANNY, SCHEDULER
from .cohort_stage import Stage

ENDED = (0, 2)  # exit codes of a driver that has nothing left to do
LONG_S = 900.0


class Site:
    """What runs: a driver, and where it has an address, a scheduler and who starts its workers.

    Args:
        stage: what is worked on.
        args: of the command line: how many workers, and which driver.

    Attributes:
        starts: how often each was started.
    """

    def __init__(self, stage: Stage, args: argparse.Namespace) -> None:
        self.stage, self.workers, self.kind = stage, args.workers, args.driver
        self.file = stage.log / "scheduler.json"
        self.starts: Counter[str] = Counter()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.has_ended = False

    def __enter__(self) -> "Site":
        self.tend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for process in self._processes.values():
            process.kill()
            process.wait()

    def there(self) -> dict[str, int]:
        """Numbers of the processes that run, by what they are."""
        return {kind: x.pid for kind, x in self._processes.items() if x.poll() is None}

    def tend(self) -> bool:
        """Start again what has ended; False when the driver has nothing left to do."""
        driver = self._processes.get(DRIVER)
        self.has_ended = self.has_ended or (driver is not None and driver.poll() in ENDED)
        if self.has_ended:
            return False
        if self.kind == "address":
            if SCHEDULER not in self.there():
                self.file.unlink(missing_ok=True)
                self._start(SCHEDULER, "dask_scheduler", "--host", "127.0.0.1", "--port", "0")
                while not self.file.exists():
                    time.sleep(0.05)
            if NANNY not in self.there():
                self._start(NANNY, "dask_worker", "--nworkers", str(self.workers),
                            "--nthreads", "1", "--memory-limit", "0",
                            "--death-timeout", "5")  # fmt: skip
        if DRIVER not in self.there():
            words = {"dask": ["--workers", str(self.workers)], "serial": [],
                     "address": ["--dask", str(self.file)]}  # fmt: skip
            self._keep(DRIVER, self.stage.drive(*words[self.kind], stderr=subprocess.DEVNULL))
        return True

    def finish(self) -> None:
        """Wait until all is done; no longer than `LONG_S`."""
        until = time.monotonic() + LONG_S
        while self.tend() and time.monotonic() < until:
            time.sleep(0.2)

    def _start(self, kind: str, module: str, *words: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words, "--no-dashboard",
                   "--scheduler-file", str(self.file)]  # fmt: skip
        self._keep(kind, self.stage.start(command, stderr=subprocess.DEVNULL))

    def _keep(self, kind: str, process: "subprocess.Popen[str]") -> None:
        self._processes[kind] = process
        self.starts[kind] += 1
