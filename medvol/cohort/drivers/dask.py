# SPDX-License-Identifier: Apache-2.0
"""Hands out the units of a cohort to Dask's workers, on this machine or wherever a scheduler is.

Dask says who is free and who died; what is done and how often it was tried is in the ledger, and a
claim keeps a unit from being done twice. So a task is only "do these units", any worker may be
given any task again, and nothing is lost with the scheduler.
"""

import logging
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from heapq import nlargest
from itertools import islice
from types import TracebackType
from typing import Any

from ...engine.available import GIB, available_bytes
from ...errors import InputError, require
from ...tasks.ahead import AT_WORK
from ...tasks.dask_client import EXTRA, forget_settings, open_client
from ..plan import Unit
from ..worker import Said, Session, Worker
from .gpus import keep_one_gpu

AGAIN = "Run the same command again; what is done stays done."
MOST_UNITS = AT_WORK + 1  # of a task: more are no quicker, and all are begun again with a worker
IN_FLIGHT = 2  # tasks a worker: the next is there when one is done
LOOK_S = 5.0  # between two looks at who is there
IDLE_S = 60.0  # after which a worker that nothing is asked of gives its memory back
MOST_KILLED = 5  # tasks that Dask gave up, one after the other, as their workers died


class DaskDriver:
    """A driver with Dask's workers, which are there as long as a `with` block.

    Args:
        session: of the workers, with a folder that they find by the same path.
        where: number of workers on this machine, or a scheduler, as for `open_client`.
        say: is called with a sentence on what workers there are.
        needs: bytes of memory that a unit takes, 0 where that is not known: so many of them are at
            work on this machine at the same time as fit.
    """

    def __init__(
        self, session: Session, where: int | str, *, say: Callable[[str], object] = lambda _: None,
        needs: Callable[[Unit], int] = lambda _: 0,
    ) -> None:  # fmt: skip
        self.session = session._replace(out=os.path.abspath(session.out))
        self.where, self.say, self.needs = where, say, needs
        self.memory_bytes: int | None = None  # of this machine, where the workers share it
        self._opened = ExitStack()
        self._client: Any = None

    def __enter__(self) -> "DaskDriver":
        """Start the workers, or find those that are there.

        Raises:
            ImportError: Dask is not installed.
            ValueError: no scheduler answers, or its workers have another medvol.
        """
        for name in ("distributed", "tornado"):  # what matters of a death, the ledger says
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with ExitStack() as opened:
            self._client = opened.enter_context(self._connected())
            self._opened = opened.pop_all()
        if isinstance(self.where, int):
            self.memory_bytes = available_bytes()
            self.say(f"Dask's dashboard: {self._client.dashboard_link}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with suppress(OSError):  # a scheduler that has gone
            self._opened.close()

    def __call__(self, units: Iterator[Unit]) -> Iterator[Said]:
        """What becomes of each unit, in the order of their ends.

        Args:
            units: as for `Driver`.

        Raises:
            InputError: as for `Worker.do_many`; E_FAILED, the scheduler went away, or workers die
                before they do anything.
        """
        return _Handing(self, self._client)(units)

    @property
    def workers(self) -> int:
        """How many work at the same time."""
        return self.present()

    def present(self) -> int:
        """How many workers are there now.

        Raises:
            OSError: the scheduler does not answer.
        """
        return sum(self._client.nthreads().values())

    @property
    def place(self) -> str:
        """Where the workers are, in words."""
        return self.where if isinstance(self.where, str) else "Dask on this machine"

    def keep(self) -> None:
        """Start workers anew that Dask gave up, as those that die while they start; is called
        every few seconds."""
        if isinstance(self.where, int):
            self._client.cluster.scale(self.where)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        require("distributed", feature="work on several workers", install=EXTRA)
        import dask

        with (
            dask.config.set({"distributed.worker.preload": [__name__]}),
            open_client(self.where) as client,
        ):
            yield client


def dask_setup(_: object) -> None:
    """Leave Ctrl-C to the driver, which ends the workers that it started: each calls this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Handing:
    """One pass over units, with few tasks at a time: the scheduler never holds a whole plan."""

    def __init__(self, driver: DaskDriver, client: Any) -> None:
        self.driver, self.client = driver, client
        self.left: deque[Unit] = deque()  # that come next, and those of tasks that died
        self.tasks: dict[Any, list[Unit]] = {}
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.workers, self.looked, self.killed = -1, 0.0, 0
        self.is_short = False

    def __call__(self, units: Iterator[Unit]) -> Iterator[Said]:
        try:
            while True:
                self._look()
                self._submit(units)
                if not self.tasks and not self.left and self.workers:
                    return
                yield from self._found()
        finally:
            with suppress(Exception):  # the scheduler may have gone, which is said already
                self.client.cancel([*self.tasks])

    def _look(self) -> None:
        """Count the workers, now and then."""
        if self.workers > 0 and time.monotonic() - self.looked < LOOK_S:
            return
        self.driver.keep()
        before = self.workers
        try:
            self.workers = self.driver.present()
        except OSError as error:
            raise self._lost() from error
        if not self.workers and before:
            self.driver.say("no worker is there; waiting for one")
        self.looked = time.monotonic()

    def _submit(self, units: Iterator[Unit]) -> None:
        """Keep every worker busy, as far as there is memory."""
        most = self.workers * IN_FLIGHT
        while len(self.tasks) < most:
            self.left.extend(islice(units, max(0, 2 * most * MOST_UNITS - len(self.left))))
            # fewer towards the end, so that all workers end at about the same time
            number = min(MOST_UNITS, max(1, len(self.left) // (2 * most)), len(self.left))
            some = [*islice(self.left, number)]
            if not some or not self._fits(some):
                return
            for _ in some:
                self.left.popleft()
            task = self.client.submit(do, self.driver.session, some, pure=False)
            self.tasks[task] = some
            task.add_done_callback(self.ended.put)

    def _fits(self, units: list[Unit]) -> bool:
        """Whether there is memory for one more task, whichever of all are at work then."""
        if self.driver.memory_bytes is None or not self.tasks:
            return True
        needed = [max(map(self.driver.needs, some)) for some in [*self.tasks.values(), units]]
        fits = sum(nlargest(self.workers, needed)) <= self.driver.memory_bytes
        if not fits and not self.is_short:
            self.is_short = True
            self.driver.say(
                f"memory is short: a case needs up to {max(needed) / GIB:.1f} GiB, of "
                f"{self.driver.memory_bytes / GIB:.1f}; fewer than {self.workers} are at work"
            )
        return fits

    def _found(self) -> list[Said]:
        """What came of the next task that ends; nothing where none does for some time."""
        from distributed import KilledWorker

        try:
            task = self.ended.get(timeout=LOOK_S if self.tasks else 1.0)
        except queue.Empty:
            return []
        units = self.tasks.pop(task)
        try:
            found: list[Said] = task.result()
        except KilledWorker as error:  # how often a unit's worker died is in the ledger
            self._again(units, error)
            return []
        except CancelledError as error:  # nobody else cancels them
            raise self._lost() from error
        self.killed = 0
        return found

    def _again(self, units: list[Unit], error: Exception) -> None:
        """Hand out again what Dask gave up, since its workers died."""
        self.killed += 1
        if self.killed > MOST_KILLED:
            reason = "its workers die before they have done anything."
            remedy = "Look at what they say; is the same medvol installed where they run?"
            raise InputError("E_FAILED", self.driver.place, reason, remedy) from error
        self.left.extendleft(reversed(units))

    def _lost(self) -> InputError:
        reason = "the connection to Dask's scheduler was lost."
        return InputError("E_FAILED", self.driver.place, reason, AGAIN)


class _Place:
    """Where a thread of a process of Dask's keeps its worker, as long as there is work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: Session | None = None
        self.worker: Worker | None = None
        self.timer = threading.Timer(0.0, self.rest)

    def do(self, session: Session, units: Sequence[Unit]) -> list[Said]:
        """Do units, by the worker that is there if it is of this session."""
        self.timer.cancel()
        with self.lock:
            try:
                return [*self._worker(session).do_many(units)]
            finally:
                self.timer = threading.Timer(IDLE_S, self.rest)
                self.timer.daemon = True
                self.timer.start()

    def rest(self) -> None:
        """End the worker, since nothing was asked of it for some time."""
        with self.lock:
            self._end()

    def _worker(self, session: Session) -> Worker:
        if self.worker is None or self.session != session:
            self._end()
            self.worker, self.session = Worker(session).__enter__(), session
        return self.worker

    def _end(self) -> None:
        if self.worker is not None:
            self.worker.__exit__(None, None, None)
        self.worker = None


_here = threading.local()  # a worker does one thing at a time


def do(session: Session, units: Sequence[Unit]) -> list[Said]:
    """Do units in a process of Dask's: the task.

    Args:
        session: of the worker, which stays for the next task.
        units: of the plan.

    Returns:
        As of `Worker.do_many`.
    """
    from distributed import get_worker

    if not hasattr(_here, "place"):
        if isinstance(number := get_worker().name, int):  # of several on this machine
            keep_one_gpu(number)
        forget_settings()
        _here.place = _Place()
    found: list[Said] = _here.place.do(session, units)
    return found
