# SPDX-License-Identifier: Apache-2.0
"""One worker process of a server and the thread that gives it jobs; the process can be killed."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from ..engine.child import Child
from ..engine.confine import Confinement
from ..engine.limits import Limits
from ..errors import InputError
from ..failures import FAILURES, failure
from ..files import sweep
from ..progress import Step
from . import work
from .counters import JOBS, RESTARTS, REUSED, STAGES, Counters
from .jobs import DONE, REFUSED, RUNNING, WAITING, Job, Jobs, as_error
from .refusals import Missing
from .results import Report, ResultFolders

TOLD_S = 0.2  # between two steps that are passed on
GROWTH_BYTES = 2 << 30  # of a worker, above the least that it had behind a job; then it starts anew
WARMING = "warming"  # in place of the id of a job
CHOOSE = "Choose one of the series."
LOG = logging.getLogger(__package__)


class Ready(NamedTuple):
    """The image of a job, where it can be read.

    Args:
        path: of it.
        key: of the results.
    """

    path: Path
    key: str


@dataclass(frozen=True)
class Duty:
    """What all workers of a server share.

    Args:
        jobs: that they take from.
        results: that they write into.
        prepare: makes the image of a job ready, and calls what it is given now and then, which
            raises `Cancelled`; raises `Missing` where the image was deleted.
        bundles: name to folder.
        limits: of one job.
        confinement: of the processes.
        counts: of what was done.
    """

    jobs: Jobs
    results: ResultFolders
    prepare: Callable[[Job, Callable[[Step], None]], Ready]
    bundles: dict[str, Path]
    limits: Limits
    confinement: Confinement
    counts: Counters


class Cancelled(Exception):
    """Nobody wants the job any more."""


class Lane:
    """A worker process, and a thread that gives it jobs.

    Args:
        duty: what it shares with others.
        setup: of the process.

    Raises:
        InputError: E_FAILED, the process does not start.
    """

    def __init__(self, duty: Duty, setup: work.Setup) -> None:
        self.duty, self.setup = duty, setup
        self.lock = threading.Lock()
        self.asked = ""  # id of the job that the process is at
        self.is_killed = self.is_closing = self.is_begun = False
        self.told, self.least_bytes, self.likely = 0.0, 0, work.Warm()
        self.child = Child(
            f"{work.__name__}:start", setup, limits=duty.limits, heard=self._hear,
            confinement=duty.confinement,
        )  # fmt: skip
        self.known = self.child.id
        self.thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self.thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it takes jobs."""
        return self.thread.is_alive()

    def cancel(self, id_: str) -> None:
        """Take a job away from the process, where it is at it; to be called when its state says so.

        Args:
            id_: of the job.
        """
        with self.lock:
            if self.asked == id_:
                self.is_killed = True
                self.child.kill()

    def close(self) -> None:
        """End the process; what it is at waits for the next server. The jobs are closed before."""
        with self.lock:
            self.is_closing = self.is_killed = True
            self.child.kill()
        self.thread.join()
        self.child.close()

    def _run(self) -> None:
        self._warm()
        while (job := self.duty.jobs.next()) is not None:
            self.told = 0.0
            try:
                self._work_on(job)
            except Cancelled:
                self._back(job)
            except Missing:
                reason = "its image or its bundle is not there any more."
                self._refuse(job, InputError("E_PATH", "image", reason, "Send the image again."))
            except FAILURES as error:  # of one job; the others go on
                self._refuse(job, failure(error, "image"))
            with suppress(*FAILURES):
                self._look_after()

    def _work_on(self, job: Job) -> None:
        """Do a job, or take the results that an earlier one left.

        Raises:
            Cancelled: it is not wanted any more.
            Missing: its image, its bundle or itself was deleted.
        """
        bundle = self.duty.bundles.get(job.bundle)
        if bundle is None:
            raise Missing("bundle")
        path, key = self.duty.prepare(job, self._hear_of(job.id))
        self.duty.jobs.change(job.id, only=RUNNING, key=key)
        results = self.duty.results
        with results.alone(key):
            report: Any = results.report(key)
            if report is not None:
                self.duty.counts.add(REUSED)
            else:
                order = work.Order(str(bundle), str(path), key, job.options, job.formats)
                report = self._computed(job, order)
            self._end(job, report, path)
            if not any(x.key == key and x.state == DONE for x in self.duty.jobs.all()):
                results.discard(key)  # it was cancelled or deleted meanwhile
        if isinstance(report, Report):
            self.likely = work.Warm(str(bundle), job.options)

    def _computed(self, job: Job, order: work.Order) -> Any:
        """What the process says to an order; its files are there where that is a report.

        Raises:
            Cancelled: as for `_ask`.
        """
        results, answer = self.duty.results, None
        results.discard(order.key)
        try:
            results.of(order.key).mkdir()
            answer = self._ask(job, order)
        finally:
            for number in self.child.ended:
                sweep(results.of(order.key), number, results.folder)
            self.child.ended.clear()
            if not isinstance(answer, Report):
                results.discard(order.key)
        return answer

    def _ask(self, job: Job, order: work.Order) -> Any:
        """What the process says to an order; one that was gone before it began is asked again.

        Raises:
            Cancelled: the job was cancelled, or the server ends.
        """
        answer = self._asked(job, order)
        if isinstance(answer, InputError) and not self.is_begun:
            answer = self._asked(job, order)
        return answer

    def _asked(self, job: Job, order: work.Order) -> Any:
        self.child.ready()
        with self.lock:
            if self.is_closing or self.duty.jobs.get(job.id).state != RUNNING:
                raise Cancelled
            self.asked, self.is_begun = job.id, False
        try:
            (answer,) = self.child.each([order], name=lambda _: "image")
        finally:
            with self.lock:
                self.asked = ""
                killed, self.is_killed = self.is_killed, self.is_closing
        if killed:
            self.child.close()  # also where it answered before it died
            raise Cancelled
        return answer

    def _end(self, job: Job, report: Any, path: Path) -> None:
        if not isinstance(report, Report):
            error, series = report if isinstance(report, work.Refused) else (report, ())
            self._refuse(job, error, series=series, path=path)
            return
        self._over(
            job, DONE, files=report.files, found={**report.found, "remarks": [*report.remarks]}
        )
        for stage, seconds in report.found.get("times_s", {}).items():
            self.duty.counts.add(STAGES, seconds, stage=stage)

    def _refuse(
        self, job: Job, error: InputError, *, series: Any = (), path: Path | None = None
    ) -> None:
        hidden = {str(path): job.name} if path else {}
        if (bundle := self.duty.bundles.get(job.bundle)) is not None:
            hidden[str(bundle)] = job.bundle
        folder = self.duty.results.folder.parent
        hidden |= {f"{folder}/": "", f"{folder.resolve()}/": ""}
        said = as_error(error, hidden=hidden)
        if series:
            said["series"] = [_shown(one) for one in series]
            said["remedy"] = CHOOSE  # who sees it has no command line
        self._over(job, REFUSED, error=said)

    def _over(self, job: Job, state: str, **fields: Any) -> None:
        """Write down that a job ended, unless it was cancelled or deleted meanwhile."""
        with suppress(Missing):
            job = self.duty.jobs.change(job.id, state=state, ended=time.time(), step=None, **fields)
            if job.state == state:
                self.duty.counts.add(JOBS, state=state)
                code = (job.error or {}).get("code", "")
                seconds = job.ended - job.started
                LOG.info("job %s: %s %s%s, %.1f s", job.id[:8], job.bundle, state,
                         f" {code}" if code else "", seconds)  # fmt: skip

    def _back(self, job: Job) -> None:
        """Let a job wait for the next server; one that was cancelled stays so."""
        with suppress(Missing):
            self.duty.jobs.change(job.id, only=RUNNING, state=WAITING, tries=job.tries - 1)

    def _look_after(self) -> None:
        """Replace a process that grew or died, before somebody waits for it."""
        if self.child.id is not None:
            used = psutil.Process(self.child.id).memory_info().rss
            self.least_bytes = min(self.least_bytes or used, used)
            if used > self.least_bytes + GROWTH_BYTES:
                self.child.close()
        if self.child.id != self.known and not self.is_closing:
            self.duty.counts.add(RESTARTS)
            self.least_bytes = 0
            self.child.ready()
            self.known = self.child.id
            if not self.duty.jobs.before():
                self._warm()

    def _warm(self) -> None:
        """Let the process load what is likely to come."""
        with self.lock:
            if self.is_closing:
                return
            self.asked = WARMING
        with suppress(*FAILURES):
            [*self.child.each([self.likely])]
        with self.lock:
            self.asked = ""

    def _hear_of(self, id_: str) -> Callable[[Step], None]:
        """What is called while the image of a job is made ready."""

        def hear(step: Step) -> None:
            try:
                wanted = self.duty.jobs.change(id_, only=RUNNING, step=step).state == RUNNING
            except Missing:
                wanted = False
            if self.is_closing or not wanted:
                raise Cancelled

        return hear

    def _hear(self, step: Step) -> None:
        """Pass a step of the job on, unless the last one was just passed on."""
        now, self.is_begun = time.monotonic(), True
        if self.asked in ("", WARMING) or (
            now - self.told < TOLD_S and step.done not in (0, step.total)
        ):
            return
        self.told = now
        with suppress(Missing):
            self.duty.jobs.change(self.asked, only=RUNNING, step=step)


def _shown(series: Mapping[str, Any]) -> dict[str, Any]:
    """A series to choose, as a client gets it: what to ask for, and words."""
    words = [
        series.get("description"), series.get("modality"), f"{series.get('images')} images",
        f"{step:.3g} mm apart" if (step := series.get("step_mm")) else None, series.get("kernel"),
        f"series {series['choose']}",  # some differ in nothing else
    ]  # fmt: skip
    return {
        "series": str(series["choose"]),
        "words": " · ".join(str(word) for word in words if word),
        "suggested": bool(series.get("suggested")),
    }
