# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for a job are answered when it ends, goes, or the server does."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from medvol.errors import InputError
from medvol.server import waiting
from medvol.server.jobs import CANCELLED, DONE, Job, Jobs
from medvol.server.waiting import ended


class Client:
    """A client that is there, or went away."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.is_gone = is_gone

    async def is_disconnected(self) -> bool:
        return self.is_gone


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def answer(jobs: Jobs, job: Job, meanwhile: Any, client: Any) -> Job:
    """What a request gets, while something happens to its job."""
    queue = SimpleNamespace(cancel=lambda id_: jobs.change(id_, state=CANCELLED))
    service = cast("Any", SimpleNamespace(jobs=jobs, queue=queue))

    async def both() -> Job:
        asyncio.get_running_loop().call_later(0.05, meanwhile)
        return await asyncio.wait_for(ended(service, job, client), 5)

    return asyncio.run(both())


def new(jobs: Jobs) -> Job:
    return jobs.new(image="a", name="a", bundle="b", options={}, key="")


def test_it_is_answered_at_once_when_the_job_is_done(jobs: Jobs) -> None:
    job = new(jobs)
    done = answer(jobs, job, lambda: jobs.change(job.id, state=DONE), Client())
    assert done.state == DONE
    assert jobs.watchers == {}


def test_a_job_that_goes_and_a_server_that_ends_are_said(jobs: Jobs) -> None:
    job = new(jobs)
    with pytest.raises(InputError, match="deleted"):
        answer(jobs, job, lambda: jobs.remove(job.id), Client())
    with pytest.raises(InputError, match="server ends"):
        answer(jobs, new(jobs), jobs.close, Client())


def test_a_job_whose_client_went_away_is_cancelled(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "GONE_S", 0.01)
    job = new(jobs)
    with pytest.raises(InputError, match="cancelled"):
        answer(jobs, job, lambda: None, Client(is_gone=True))
    assert jobs.get(job.id).state == CANCELLED
