# SPDX-License-Identifier: Apache-2.0
"""The queue of a server: a process that can be killed works on one job after the other."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..engine.child import Child
from ..engine.confine import Confinement
from ..engine.limits import Limits
from ..errors import InputError
from ..failures import failure
from ..files import sweep
from ..progress import Step
from . import work
from .jobs import CANCELLED, DONE, REFUSED, RUNNING, Job, Jobs, as_error

TOLD_S = 0.2  # between two steps that are passed on


class Queue:
    """One worker process, and a thread that gives it jobs.

    Args:
        jobs: that it takes from.
        folder: of all results.
        path_of: path of the image of a job; raises KeyError where it was deleted.
        bundles: name to folder.
        device: "auto", "cpu" or "cuda".
        limits: of one job.
        confinement: of the process.
    """

    def __init__(
        self,
        jobs: Jobs,
        folder: Path,
        path_of: Callable[[Job], Path],
        bundles: Mapping[str, Path],
        *,
        device: str,
        limits: Limits,
        confinement: Confinement,
    ) -> None:
        self.jobs, self.folder, self.path_of, self.bundles = jobs, folder, path_of, bundles
        self.current: Job | None = None
        self.told = 0.0
        self.stopped = threading.Event()
        self.child = Child(
            f"{work.__name__}:start", work.Setup(str(folder), device), limits=limits,
            heard=self._hear, confinement=confinement,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self.thread.start()

    def cancel(self, id_: str) -> Job:
        """Take a job out of the queue, or away from the worker.

        Args:
            id_: of the job.

        Raises:
            KeyError: there is none of this id.
        """
        was = self.jobs.get(id_)
        job = self.jobs.change(id_, state=CANCELLED, ended=time.time())
        if was.state == RUNNING and self.current is not None and self.current.id == id_:
            self.child.kill()
        return job

    def close(self) -> None:
        """End the worker; what it was at waits for the next server."""
        self.stopped.set()
        with self.jobs.changed:
            self.jobs.changed.notify_all()
        self.child.kill()
        self.thread.join()
        self.child.close()

    def _run(self) -> None:
        while (job := self.jobs.next(self.stopped)) is not None:
            self.current, self.told = job, 0.0
            try:
                self._work_on(job)
            except Exception as error:  # of one job; the queue goes on
                self._end(job, failure(error, job.id))
            self.current = None

    def _work_on(self, job: Job) -> None:
        try:
            path, bundle = self.path_of(job), self.bundles[job.bundle]
        except KeyError:
            reason = "its image or its bundle is not there any more."
            self._end(job, InputError("E_PATH", job.id, reason, "Send the image again."))
            return
        folder = self.folder / job.key
        folder.mkdir(parents=True, exist_ok=True)
        order = work.Order(str(bundle), str(path), job.key, job.options)
        report = next(self.child.each([order], name=lambda _: job.id))
        for number in self.child.lost[-1:]:
            sweep(folder, number, self.folder)
        if self.stopped.is_set():
            return  # as it is on disk, it waits for the next server
        if isinstance(report, InputError):
            self._end(job, report)
            return
        done = self.jobs.change(
            job.id, state=DONE, ended=time.time(), files=report.files, step=None,
            found={**report.found, "remarks": list(report.remarks)},
        )  # fmt: skip
        if done.state == CANCELLED:
            self._discard(job)

    def _end(self, job: Job, error: InputError) -> None:
        """Refuse a job, unless it was cancelled or deleted meanwhile."""
        self._discard(job)
        try:
            self.jobs.change(
                job.id, state=REFUSED, ended=time.time(), error=as_error(error), step=None
            )
        except KeyError:
            return

    def _discard(self, job: Job) -> None:
        """Take away results that no other job has."""
        if not any(x.key == job.key and x.state == DONE for x in self.jobs.all()):
            shutil.rmtree(self.folder / job.key, ignore_errors=True)

    def _hear(self, step: Step) -> None:
        """Pass a step of the current job on, unless the last one was just passed on."""
        job, now = self.current, time.monotonic()
        if job is None or (now - self.told < TOLD_S and step.done not in (0, step.total)):
            return
        self.told = now
        try:
            self.jobs.change(job.id, only=RUNNING, step=step)
        except KeyError:  # deleted meanwhile
            return
