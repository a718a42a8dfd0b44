# SPDX-License-Identifier: Apache-2.0
"""Workers of Dask as jobs of a cluster's batch system: SLURM, PBS, SGE, LSF, HTCondor.

What else a cluster asks for (an account, a line that loads a module, a GPU for each job) stands in
`~/.config/dask/jobqueue.yaml`, where dask-jobqueue looks for it.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ...errors import require
from ..worker import Session
from .dask import DaskDriver

INSTALL = "medvol[cluster]"
SYSTEMS = {  # word on the command line -> class of dask-jobqueue
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
}
UNQUEUED = "htcondor"  # has no queues
WITHOUT_SECONDS = "lsf"  # takes hours and minutes
SPARE_S = 300  # a worker ends so long before its job does, and gives back what it has not begun
STAGGER = 0.1  # and not all at one moment: this part of its time earlier or later, at most
DAY_S, HOUR_S, MINUTE_S = 86400, 3600, 60


class Jobs(NamedTuple):
    """Jobs that are asked for; each holds one worker.

    Args:
        system: of `SYSTEMS`.
        queue: or partition, that they go to; empty for what is usual there.
        number: of jobs.
        threads: of each, which its case is computed with.
        memory_bytes: of each.
        walltime_s: after which the system ends a job, in s.
    """

    system: str
    queue: str
    number: int
    threads: int
    memory_bytes: int
    walltime_s: int


def bytes_of(memory: str) -> int:
    """Bytes of a size as batch systems write it.

    Args:
        memory: a number with a unit, in thousands (MB, GB) or 1024 (MiB, GiB).

    Raises:
        ValueError: it is another text.

    Example:
        >>> bytes_of("16GB"), bytes_of("1.5 GiB")
        (16000000000, 1610612736)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT])(i?)B?", memory)
    if found is None:
        raise ValueError(f"memory is {memory!r}; give such as 16GB")
    return round(float(found[1]) * (1024 if found[3] else 1000) ** ("MGT".index(found[2]) + 2))


def seconds_of(walltime: str) -> int:
    """Seconds of a time as batch systems write it.

    Args:
        walltime: "HH:MM:SS", "HH:MM" or "D-HH:MM:SS".

    Raises:
        ValueError: it is another text, or too short for a worker to do anything.

    Example:
        >>> seconds_of("04:30"), seconds_of("1-00:00:30")
        (16200, 86430)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d)(?::([0-5]\d))?", walltime)
    if found is None:
        raise ValueError(f"walltime is {walltime!r}; give HH:MM:SS, such as 04:00:00")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = days * DAY_S + hours * HOUR_S + minutes * MINUTE_S + seconds
    if total < 2 * SPARE_S:
        raise ValueError(f"walltime is {walltime}; give {2 * SPARE_S // MINUTE_S} minutes or more")
    return total


class JobQueueDriver(DaskDriver):
    """A driver with workers that a batch system starts; jobs that end are asked for again.

    Args:
        session, say: as of `DaskDriver`.
        jobs: that are asked for.
    """

    def __init__(
        self, session: Session, jobs: Jobs, *, say: Callable[[str], object] = lambda _: None
    ) -> None:
        super().__init__(session, f"{jobs.system}:{jobs.queue}", say=say)
        self.jobs = jobs
        self._cluster: Any = None

    @property
    def workers(self) -> int:
        """How many work at the same time, when all jobs run."""
        return self.jobs.number

    def keep(self) -> None:
        """Ask for jobs in place of those that have ended, as they do at the end of their time."""
        self._cluster.scale(self.jobs.number)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """As of `DaskDriver`.

        Raises:
            ImportError: dask-jobqueue is not installed.
        """
        require("dask_jobqueue", feature=f"work as jobs of {self.place}", install=INSTALL)
        from distributed import Client

        with cluster_of(self.jobs) as self._cluster:
            port = urlsplit(self._cluster.dashboard_link).port  # which only this machine reaches
            self.say(f"{self.jobs.number} jobs; Dask's dashboard: http://127.0.0.1:{port}/status")
            with Client(self._cluster, set_as_default=False) as client:
                yield client


def cluster_of(jobs: Jobs) -> Any:
    """The cluster of dask-jobqueue, which has asked for no job yet.

    A worker ends by itself before its job's time does, and Dask does not watch its memory: what
    takes it is a child of it, with limits.

    Args:
        jobs: that it is for.
    """
    import dask_jobqueue

    kind = getattr(dask_jobqueue, SYSTEMS[jobs.system])
    stagger = min(SPARE_S, round(STAGGER * jobs.walltime_s))
    life = jobs.walltime_s - SPARE_S - stagger  # what Dask then shifts by the stagger either way
    words = ["--nthreads", "1", "--memory-limit", "0"]
    words += ["--lifetime", f"{life}s", "--lifetime-stagger", f"{stagger}s"]
    memory = f"{jobs.memory_bytes}B"
    given: dict[str, Any] = {"cores": jobs.threads, "processes": 1, "memory": memory}
    if jobs.system == UNQUEUED:
        given["disk"] = "1GB"
        given["job_extra_directives"] = {"+MaxRuntime": str(jobs.walltime_s)}
    else:
        given["walltime"] = _written(jobs.walltime_s, seconds=jobs.system != WITHOUT_SECONDS)
        given["queue"] = jobs.queue or None
    return kind(
        **given, worker_extra_args=words, silence_logs=logging.CRITICAL,
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
    )  # fmt: skip


def _written(total_s: int, *, seconds: bool) -> str:
    """A time as HH:MM:SS, or HH:MM.

    Example:
        >>> _written(90061, seconds=True), _written(90061, seconds=False)
        ('25:01:01', '25:01')
    """
    minutes, rest = divmod(total_s, MINUTE_S)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{rest:02d}" if seconds else text
