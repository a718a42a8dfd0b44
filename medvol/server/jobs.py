# SPDX-License-Identifier: Apache-2.0
"""Jobs of a server: an image and a bundle, from waiting to done; kept on disk over a restart."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_json
from ..progress import Step
from ..scratch import sweep_left
from .refusals import Missing

WAITING, RUNNING, DONE, REFUSED, CANCELLED = "waiting", "running", "done", "refused", "cancelled"
STATES = (WAITING, RUNNING, DONE, REFUSED, CANCELLED)
ENDED = (DONE, REFUSED, CANCELLED)
MOST_TRIES = 2  # a job that was at work when the server died this often is refused


@dataclass(frozen=True)
class Job:
    """A bundle that is run on an image.

    Args:
        id: 32 hexadecimal digits, which nobody guesses.
        image: id of the image, of `images.Stored`.
        name: as the sender called the image.
        bundle: name of the bundle.
        options: that decide about the answer, see `options.checked`.
        formats: of files that are written, of `OUTPUTS`; None for all that the answer has.
        key: of the results: the same for the same image, bundle, options and formats; empty while
            the content of the image is not known.
        state: one of `STATES`.
        since, started, ended: seconds since 1970; 0 where it has not come to that.
        tries: how often it was begun.
        error: code, reason and remedy, where it was refused; "series" of a study of which none was
            chosen.
        found: what `run.json` says of the answer, see `outputs.record.brief`.
        files: name of each file to what it holds.
        step: what it is at; not kept.
    """

    id: str
    image: str
    name: str
    bundle: str
    options: Mapping[str, Any]
    key: str
    formats: Sequence[str] | None = None
    state: str = WAITING
    since: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    tries: int = 0
    error: Mapping[str, Any] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    step: Step | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ENDED


class Jobs:
    """All jobs; safe to use from several threads. Each change is on disk before it is seen, unless
    the disk is full: then it is seen all the same.

    Args:
        folder: a file a job is kept in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition()
        self.is_closed = False
        self.watchers: dict[str, list[Callable[[], None]]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        sweep_left(folder)
        known = sorted(self._on_disk(), key=lambda job: job.since)
        self.found = {job.id: job for job in known}
        self.line = {job.id: None for job in known if job.state == WAITING}  # in their order

    def new(self, **fields: Any) -> Job:
        """A job that waits from now on.

        Args:
            fields: of `Job`, as far as they are known.

        Raises:
            InputError: E_NOSPACE, it cannot be kept.
        """
        job = Job(id=secrets.token_hex(16), since=time.time(), **fields)
        self._write(job)
        return self._seen(job)

    def change(self, id_: str, *, only: str = "", **fields: Any) -> Job:
        """Change fields of a job; one that is over, or in another state than `only`, stays.

        Args:
            id_: of the job.
            only: state that it must be in; empty for any that is not over.
            fields: of `Job`.

        Raises:
            Missing: there is none of this id.
        """
        with self.changed:
            job = self.get(id_)
            if job.is_over or (only and job.state != only):
                return job
            job = replace(job, **fields)
            if {*fields} != {"step"}:
                with suppress(InputError):
                    self._write(job)
            return self._seen(job)

    def all(self) -> list[Job]:
        """All jobs in the order in which they came."""
        with self.changed:
            return [*self.found.values()]

    def get(self, id_: str) -> Job:
        """One job.

        Raises:
            Missing: there is none of this id.
        """
        with self.changed:
            if id_ not in self.found:
                raise Missing("job")
            return self.found[id_]

    def before(self) -> dict[str, int]:
        """Each job that waits to how many wait before it."""
        with self.changed:
            return {id_: number for number, id_ in enumerate(self.line)}

    def next(self) -> Job | None:
        """The job that has waited longest, running from now on; waits for one. None at the end."""
        with self.changed:
            while not self.is_closed:
                for id_ in self.line:
                    tries = self.found[id_].tries + 1
                    return self.change(id_, state=RUNNING, started=time.time(), tries=tries)
                self.changed.wait()
        return None

    def wait(self, id_: str, seconds: float) -> Job:
        """A job when it is over, or as it is after some time, or when the server ends.

        Args:
            id_: of the job.
            seconds: that it may take, in s.

        Raises:
            Missing: there is none of this id, or not any more.
        """
        until = time.monotonic() + seconds
        with self.changed:
            while not self.get(id_).is_over and not self.is_closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self.changed.wait(left)
            return self.get(id_)

    @contextmanager
    def watched(self, id_: str, call: Callable[[], None]) -> Iterator[None]:
        """Call a function each time that a job changes or goes, or when the server ends.

        Args:
            id_: of the job.
            call: is called by any thread; it must be quick, and raise nothing.
        """
        with self.changed:
            self.watchers.setdefault(id_, []).append(call)
        try:
            yield
        finally:
            with self.changed:
                self.watchers[id_].remove(call)
                if not self.watchers[id_]:
                    del self.watchers[id_]

    def remove(self, id_: str) -> Job:
        """Forget a job.

        Raises:
            Missing: there is none of this id.
        """
        with self.changed:
            job = self.get(id_)
            del self.found[id_]
            self.line.pop(id_, None)
            (self.folder / f"{id_}.json").unlink(missing_ok=True)
            self._wake([id_])
        return job

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self.changed:
            self.is_closed = True
            self._wake([*self.watchers])

    def _write(self, job: Job) -> None:
        row = {key: value for key, value in asdict(job).items() if key != "step"}
        write_json(self.folder / f"{job.id}.json", row, indent=None)

    def _seen(self, job: Job) -> Job:
        with self.changed:
            self.found[job.id] = job
            if job.state == WAITING:
                self.line[job.id] = None
            else:
                self.line.pop(job.id, None)
            self._wake([job.id])
        return job

    def _wake(self, ids: Collection[str]) -> None:
        self.changed.notify_all()
        for id_ in ids:
            for call in self.watchers.get(id_, ()):
                call()

    def _on_disk(self) -> Iterator[Job]:
        """What an earlier server kept; what it was at waits again, unless it dies of it."""
        for path in [*self.folder.glob("*.json")]:
            try:
                job = Job(**json.loads(path.read_text(encoding="utf-8")))
            except OSError:
                continue
            except (ValueError, TypeError, RecursionError):  # of another version, or damaged
                path.unlink(missing_ok=True)  # nobody else would: it may hold a patient's name
                continue
            if job.state == RUNNING:
                again = job.tries < MOST_TRIES
                job = replace(job, state=WAITING if again else REFUSED)
                if not again:
                    job = replace(job, error=as_error(_died()), ended=time.time())
            yield job


def as_error(error: InputError, *, hidden: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Why a job was refused, for a client: without paths on the server.

    Args:
        error: of the job.
        hidden: what must not be shown, such as the path of the image, to what stands in its place.
    """
    said = {"code": error.code, "reason": error.reason, "remedy": error.remedy}
    for text, shown in (hidden or {}).items():
        said = {key: value.replace(text, shown) for key, value in said.items()}
    return {**said}


def _died() -> InputError:
    reason = f"the server ended {MOST_TRIES} times while it worked on it."
    return InputError("E_FAILED", "image", reason, "Look at the image, or leave it out.")
