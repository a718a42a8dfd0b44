# SPDX-License-Identifier: Apache-2.0
"""Jobs of a server: an image and a bundle, from waiting to done; kept on disk over a restart."""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_json
from ..progress import Step

WAITING, RUNNING, DONE, REFUSED, CANCELLED = "waiting", "running", "done", "refused", "cancelled"
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
        options: that decide about the answer, by the names of `medvol predict`.
        key: of the results: the same for the same image, bundle and options.
        state: one of `WAITING`, `RUNNING`, `DONE`, `REFUSED`, `CANCELLED`.
        since, started, ended: seconds since 1970; 0 where it has not come to that.
        tries: how often it was begun.
        error: code, reason and remedy, where it was refused.
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
    state: str = WAITING
    since: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    tries: int = 0
    error: Mapping[str, str] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    step: Step | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ENDED


class Jobs:
    """All jobs; safe to use from several threads. Each change is on disk before it is seen.

    Args:
        folder: a file a job is kept in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition()
        folder.mkdir(parents=True, exist_ok=True)
        self.found = {job.id: job for job in sorted(self._on_disk(), key=lambda job: job.since)}

    def new(self, **fields: Any) -> Job:
        """A job that waits from now on.

        Args:
            fields: of `Job`, as far as they are known.
        """
        job = Job(id=secrets.token_hex(16), since=time.time(), **fields)
        return self._keep(job)

    def change(self, id_: str, *, only: str = "", **fields: Any) -> Job:
        """Change fields of a job; one that is over, or in another state than `only`, stays.

        Args:
            id_: of the job.
            only: state that it must be in; empty for any that is not over.
            fields: of `Job`.

        Raises:
            KeyError: there is none of this id.
        """
        with self.changed:
            job = self.found[id_]
            if job.is_over or (only and job.state != only):
                return job
            return self._keep(replace(job, **fields), on_disk={*fields} != {"step"})

    def all(self) -> list[Job]:
        """All jobs in the order in which they came."""
        with self.changed:
            return [*self.found.values()]

    def get(self, id_: str) -> Job:
        """One job.

        Raises:
            KeyError: there is none of this id.
        """
        with self.changed:
            return self.found[id_]

    def next(self, is_stopped: threading.Event) -> Job | None:
        """The job that has waited longest, running from now on; waits for one. None at the end."""
        with self.changed:
            while not is_stopped.is_set():
                for job in self.found.values():
                    if job.state == WAITING:
                        return self.change(
                            job.id, state=RUNNING, started=time.time(), tries=job.tries + 1
                        )
                self.changed.wait()
        return None

    def wait(self, id_: str, seconds: float) -> Job:
        """A job when it is over, or as it is after some time.

        Args:
            id_: of the job.
            seconds: that it may take, in s.

        Raises:
            KeyError: there is none of this id, or not any more.
        """
        until = time.monotonic() + seconds
        with self.changed:
            while not self.found[id_].is_over and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)
            return self.found[id_]

    def remove(self, id_: str) -> Job:
        """Forget a job.

        Raises:
            KeyError: there is none of this id.
        """
        with self.changed:
            job = self.found.pop(id_)
            (self.folder / f"{id_}.json").unlink(missing_ok=True)
            self.changed.notify_all()
        return job

    def _keep(self, job: Job, *, on_disk: bool = True) -> Job:
        with self.changed:
            if on_disk:
                row = {key: value for key, value in asdict(job).items() if key != "step"}
                write_json(self.folder / f"{job.id}.json", row, indent=None)
            self.found[job.id] = job
            self.changed.notify_all()
        return job

    def _on_disk(self) -> Iterator[Job]:
        """What an earlier server kept; what it was at waits again, unless it dies of it."""
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError, TypeError, RecursionError):
                job = Job(**json.loads(path.read_text(encoding="utf-8")))
                if job.state == RUNNING:
                    again = job.tries < MOST_TRIES
                    job = replace(job, state=WAITING if again else REFUSED)
                    if not again:
                        job = replace(job, error=as_error(_died()), ended=time.time())
                yield job


def as_error(error: InputError) -> dict[str, str]:
    """Why a job was refused, for a client: without the path on the server."""
    return {"code": error.code, "reason": error.reason, "remedy": error.remedy}


def _died() -> InputError:
    reason = f"the server ended {MOST_TRIES} times while it worked on it."
    return InputError("E_FAILED", "image", reason, "Look at the image, or leave it out.")
