# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for a job without a thread each, so that many clients can."""

import asyncio
from contextlib import suppress

from ..jobs import Job, Jobs


async def over(jobs: Jobs, id_: str, seconds: float) -> Job:
    """A job when it is over, or as it is after some time, or when the server ends.

    Args:
        jobs: it is one of.
        id_: of the job.
        seconds: that it may take, in s.

    Raises:
        Missing: there is none of this id, or not any more.
    """
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    until = loop.time() + seconds

    def call() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(changed.set)

    with jobs.watched(id_, call):
        while not (job := jobs.get(id_)).is_over and not jobs.is_closed:
            left = until - loop.time()
            if left <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)
            changed.clear()
    return job
