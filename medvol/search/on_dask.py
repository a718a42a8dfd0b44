# SPDX-License-Identifier: Apache-2.0
"""Trials on Dask's workers: each runs on one of them, the search stays where it was started.

The study is the search's alone. A worker that trains asks it after each epoch whether the trial
may go on, and ends the trial when the search is gone. A worker that dies is made good for by Dask:
the trial goes on elsewhere from its last epoch. Folder, bundle and data lie at the same paths on
all machines.
"""

import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..tasks.dask_client import forget_settings, open_client
from .launch import cpus
from .training import Training
from .trial import Halted, Outcome, RunTrial, run_trial

if TYPE_CHECKING:
    from distributed import Client

POLL_S = 0.2
ASK_S = 5.0  # after which an answer is taken for lost, and asked for again
LOOK_S = 30.0  # between two looks at whether the search is there; each is a line in Dask's log
ASKED, ANSWERED, END = "-asked", "-answered", "end"


@contextmanager
def trials_on(where: int | str | None, jobs: int) -> Iterator[tuple[RunTrial, int]]:
    """What runs a trial, and how many at a time.

    Args:
        where: Dask's workers, as for `tasks.dask_client.open_client`; None for processes of this
            one.
        jobs: at a time, without Dask.

    Raises:
        ImportError, ValueError: as for `open_client`; or both are given.
    """
    if where is None:
        yield run_trial, jobs
        return
    if jobs > 1:
        raise ValueError(f"--dask says how many at a time; leave --jobs {jobs} out")
    with open_client(where) as client:
        print(f"Dask's dashboard: {client.dashboard_link}", flush=True)
        trials = DaskTrials(client, shared=not isinstance(where, int))
        yield trials, trials.slots


class DaskTrials:
    """Runs trials on the workers of a client; called as `run_trial` is.

    Args:
        client: of the cluster.
        shared: its workers are on other machines, each of which knows its own cores.

    Attributes:
        slots: trials at a time, one a thread of the workers that are there.
    """

    def __init__(self, client: "Client", *, shared: bool) -> None:
        self.client = client
        hosts: Counter[str] = Counter()
        for worker in client.scheduler_info(n_workers=-1)["workers"].values():
            hosts[worker["host"]] += worker["nthreads"]
        self.slots = max(1, hosts.total())
        self.beside = max(hosts.values(), default=1) if shared else None

    def __call__(
        self, training: Training, trial: Mapping[str, Any], folder: Path, *, threads: int,
        watch: Callable[[int, float], bool], halt: threading.Event,
    ) -> Outcome:  # fmt: skip
        """As `run_trial`; a trial whose workers died again and again has failed.

        Raises:
            InputError: as for `run_trial`; E_FAILED, the scheduler is gone.
            Halted: `halt` was set.
        """
        from distributed import KilledWorker

        try:
            return self._watched(training, trial, folder, threads, watch, halt)
        except KilledWorker:
            return Outcome("failed", "its workers died; was there too little memory?")
        except Exception as error:
            if isinstance(error, Halted) or self.client.status == "running":
                raise
            raise InputError(
                "E_FAILED", folder, "Dask's scheduler is gone.",
                "Start it, and give the same command again: it goes on.",
            ) from error  # fmt: skip

    def _watched(
        self, training: Training, trial: Mapping[str, Any], folder: Path, threads: int,
        watch: Callable[[int, float], bool], halt: threading.Event,
    ) -> Outcome:  # fmt: skip
        """Start a task, and answer what it asks until it is done."""
        name = f"medvol-{uuid.uuid4().hex}"
        questions = inbox(self.client, name + ASKED)
        future = self.client.submit(
            on_worker, training, dict(trial), folder.absolute(), name=name, search=self.client.id,
            threads=None if self.beside else threads, beside=self.beside, key=name, pure=False,
        )  # fmt: skip
        try:
            while not future.done():
                if halt.is_set():
                    self.client.log_event(name + ANSWERED, END)
                    raise Halted
                with suppress(queue.Empty):
                    epoch, value = questions.get(timeout=POLL_S)
                    self.client.log_event(name + ANSWERED, [epoch, bool(watch(epoch, value))])
            outcome: Outcome = future.result()
            return outcome
        finally:
            future.release()


def inbox(client: "Client", topic: str) -> "queue.Queue[Any]":
    """What is logged as events of a topic from now on, by anybody.

    Args:
        client: that listens.
        topic: name of the events.
    """
    box: queue.Queue[Any] = queue.Queue()
    client.subscribe_topic(topic, lambda event: box.put(event[1]))
    return box


def on_worker(
    training: Training, trial: Mapping[str, Any], folder: Path, *, name: str, search: str,
    threads: int | None, beside: int | None,
) -> Outcome:  # fmt: skip
    """`run_trial` in a task of Dask.

    Args:
        training, trial, folder: as for `run_trial`.
        name: of this trial's topics.
        search: id of the client of the search.
        threads: for torch; None for this machine's share.
        beside: trials at a time on this machine, where `threads` is None.

    Raises:
        Halted: the search has ended.
    """
    from distributed import get_client

    forget_settings()
    own = threads or max(1, cpus() // (beside or 1))
    far = FarSearch(get_client(), name, search)
    return run_trial(training, trial, folder, threads=own, watch=far.watch, halt=far)


class FarSearch(threading.Event):
    """A search that runs elsewhere: set when it has ended, or its process is gone.

    Args:
        client: of the worker.
        name: of the trial's topics.
        search: id of the search's client.
    """

    def __init__(self, client: "Client", name: str, search: str) -> None:
        super().__init__()
        self.client, self.name, self.search = client, name, search
        self._answers = inbox(client, name + ANSWERED)
        self._looked = time.monotonic()

    def is_set(self) -> bool:
        """Whether there is nobody any more for whom this trains."""
        with suppress(queue.Empty):
            while True:
                self._read(self._answers.get_nowait())
        if time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            if not self.client.run_on_scheduler(knows, self.search):
                self.set()
        return super().is_set()

    def watch(self, epoch: int, value: float) -> bool:
        """Ask the search whether to end a trial, as `run_trial` does after each epoch."""
        while not self.is_set():
            self.client.log_event(self.name + ASKED, [epoch, value])
            with suppress(queue.Empty):
                answer = self._read(self._answers.get(timeout=ASK_S))
                if answer and answer[0] == epoch:  # else one to an earlier time that this was asked
                    return bool(answer[1])
        return False

    def _read(self, message: Any) -> Any:
        if message == END:
            self.set()
            return None
        return message


def knows(client: str, dask_scheduler: Any = None) -> bool:
    """Whether a client is there; Dask gives its scheduler."""
    return client in dask_scheduler.clients
