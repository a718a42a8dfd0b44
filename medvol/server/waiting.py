# SPDX-License-Identifier: Apache-2.0
"""Requests that stay open until a job is over, as viewers make them."""

import asyncio
import time

from starlette.requests import Request

from ..errors import InputError
from .jobs import CANCELLED, REFUSED, Job
from .refusals import Missing
from .service import Service

LOOK_S = 0.05  # between two looks at a job
GONE_S = 1.0  # between two looks whether the client is still there


async def ended(service: Service, job: Job, request: Request) -> Job:
    """A job when it is done; one whose client went away is cancelled, for nobody waits for it.

    Args:
        service: that does the work.
        job: that was submitted for this request alone.
        request: of the client that waits.

    Raises:
        InputError: why the job was refused; E_FAILED, it was cancelled or deleted.
    """
    asked = time.monotonic()
    while not job.is_over:
        await asyncio.sleep(LOOK_S)
        if time.monotonic() - asked > GONE_S:
            asked = time.monotonic()
            if await request.is_disconnected():
                service.queue.cancel(job.id)
        try:
            job = service.jobs.get(job.id)
        except Missing:
            raise _cancelled("it was deleted meanwhile.") from None
    if job.state == REFUSED and job.error is not None:
        raise InputError(job.error["code"], "image", job.error["reason"], job.error["remedy"])
    if job.state == CANCELLED:
        raise _cancelled("it was cancelled.")
    return job


def _cancelled(reason: str) -> InputError:
    return InputError("E_FAILED", "image", reason, "Send the image again.")
