# SPDX-License-Identifier: Apache-2.0
"""The queue of a server: its workers, one for each device, and jobs that are taken from them."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from ..engine.settings import USUAL, EngineSettings
from .counters import JOBS
from .jobs import CANCELLED, RUNNING, Job
from .lane import Duty, Lane
from .work import Setup


class Queue:
    """Workers that take jobs, the one that has waited longest first.

    Args:
        duty: what they share.
        device: "auto", "cpu" or "cuda".
        workers: what each may see of the GPUs, see `devices.workers_for`; none is a queue in which
            jobs wait for ever.
        engine: how networks are run.

    Raises:
        InputError: E_FAILED, a worker does not start.
    """

    def __init__(
        self, duty: Duty, device: str, workers: Sequence[str], *, engine: EngineSettings = USUAL
    ) -> None:  # fmt: skip
        self.duty = duty
        self.lanes: list[Lane] = []
        with ExitStack() as begun:
            begun.callback(self.close)
            for visible in workers:
                setup = Setup(str(duty.results.folder), device, visible, engine)
                self.lanes.append(Lane(duty, setup))
            begun.pop_all()

    @property
    def is_alive(self) -> bool:
        """Whether every worker takes jobs."""
        return bool(self.lanes) and all(lane.is_alive for lane in self.lanes)

    def cancel(self, id_: str) -> Job:
        """Take a job out of the queue, or away from its worker; one that is over stays.

        Args:
            id_: of the job.

        Raises:
            Missing: there is none of this id.
        """
        was = self.duty.jobs.get(id_)
        job = self.duty.jobs.change(id_, state=CANCELLED, ended=time.time(), step=None)
        if job.state == CANCELLED and not was.is_over:
            self.duty.counts.add(JOBS, state=CANCELLED)
        if job.state == CANCELLED or was.state == RUNNING:
            for lane in self.lanes:
                lane.cancel(id_)
        return job

    def close(self) -> None:
        """End the workers; what they are at waits for the next server."""
        self.duty.jobs.close()
        for lane in self.lanes:
            lane.close()
