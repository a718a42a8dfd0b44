# SPDX-License-Identifier: Apache-2.0
"""Requests that stay open until a job is over, without a thread each, so that many clients can."""

import asyncio
from contextlib import suppress

from starlette.requests import Request

from ..errors import InputError
from .jobs import CANCELLED, REFUSED, Job, Jobs
from .refusals import Missing
from .service import Service

GONE_S = 1.0  # between two looks whether the client is still there


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


async def ended(service: Service, job: Job, request: Request) -> Job:
    """A job when it is done; one whose client went away is cancelled, for nobody waits for it.

    Args:
        service: that does the work.
        job: that was submitted for this request alone.
        request: of the client that waits.

    Raises:
        InputError: why the job was refused; E_FAILED, it was cancelled or deleted, or the server
            ends.
    """
    try:
        while not (job := await over(service.jobs, job.id, GONE_S)).is_over:
            if service.jobs.is_closed:
                raise _unanswered("the server ends.")
            if await request.is_disconnected():
                service.queue.cancel(job.id)
    except Missing:
        raise _unanswered("it was deleted meanwhile.") from None
    if job.state == REFUSED and job.error is not None:
        raise InputError(job.error["code"], "image", job.error["reason"], job.error["remedy"])
    if job.state == CANCELLED:
        raise _unanswered("it was cancelled.")
    return job


def _unanswered(reason: str) -> InputError:
    return InputError("E_FAILED", "image", reason, "Send the image again.")
