# SPDX-License-Identifier: Apache-2.0
"""Workers that are cancelled, killed, slow or grow: at most one job is lost, and the next done."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from server_jobs import LONG_S, done, sent
from tiny_bundle import ORDER, THRESHOLDS_HU

from medvol.server import lane
from medvol.server.jobs import CANCELLED, DONE, REFUSED, RUNNING, WAITING, Job
from medvol.server.refusals import Missing
from medvol.server.service import Service

LARGER = 6
FREE_S = 2.0  # in which a cancelled job has to leave its worker


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT that takes some seconds: `tiny_chest`, six times as long, wide and high."""
    chest = tiny_chest(noise_hu=5)
    ct = chest.ct
    for axis in range(3):
        ct = np.repeat(ct, LARGER, axis)
    return save_nifti(tmp_path_factory.mktemp("large") / "large.nii.gz", ct, chest.affine)


@pytest.fixture(autouse=True, scope="module")
def warm(service: Service, chest_file: Path) -> None:
    """The first job loads torch, which takes a while."""
    assert done(service, sent(service, chest_file).id).state == DONE


def at_work(service: Service, job: Job) -> None:
    """Wait until the worker is at a job."""
    until = time.monotonic() + LONG_S
    while time.monotonic() < until:
        now = service.jobs.get(job.id)
        assert not now.is_over
        one = service.queue.lanes[0]
        if now.state == RUNNING and one.asked == job.id and one.is_begun:
            return
        time.sleep(0.01)
    raise AssertionError("the worker did not come to it")


def test_a_cancelled_job_leaves_its_worker_and_nothing_else(
    service: Service, large_file: Path, chest_file: Path
) -> None:
    image = sent(service, large_file)
    job = service.submit(image.id, "tiny_ct")
    at_work(service, job)
    waits = service.submit(sent(service, chest_file).id, "tiny_ct", {"precision": "fp32"})
    assert service.queue.cancel(job.id).state == CANCELLED
    until = time.monotonic() + FREE_S
    while service.jobs.get(waits.id).state == WAITING:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert service.jobs.wait(waits.id, LONG_S).state == DONE
    assert service.jobs.get(job.id).state == CANCELLED
    assert not service.results.of(job.key).exists()
    assert service.queue.cancel(job.id).state == CANCELLED


def test_a_job_that_waits_is_cancelled_and_the_worker_goes_on(
    service: Service, large_file: Path
) -> None:
    first = service.submit(sent(service, large_file).id, "tiny_ct")
    second = service.submit(first.image, "tiny_ct", {"gate": 0.5})
    at_work(service, first)
    worker = service.queue.lanes[0].child.id
    assert service.jobs.before() == {second.id: 0}
    assert service.queue.cancel(second.id).state == CANCELLED
    assert service.queue.lanes[0].child.id == worker
    service.remove(first.id)  # while it runs
    with pytest.raises(Missing):
        service.jobs.get(first.id)
    wait_until(lambda: service.queue.lanes[0].asked == "")
    assert not service.results.of(first.key).exists()
    assert first.image in [stored.id for stored in service.images.all()]  # the second job has it


def test_a_killed_worker_costs_its_job_and_no_other(
    service: Service, large_file: Path, chest_file: Path
) -> None:
    job = service.submit(sent(service, large_file).id, "tiny_ct")
    at_work(service, job)
    worker = service.queue.lanes[0].child.id
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    over = service.jobs.wait(job.id, LONG_S)
    assert over.state == REFUSED
    assert over.error is not None
    assert over.error["code"] == "E_FAILED"
    assert "SIGKILL" in over.error["reason"]
    assert not service.results.of(job.key).exists()
    assert done(service, sent(service, chest_file).id, gate=None, strict=True).state == DONE
    assert service.queue.lanes[0].child.id not in (None, worker)


def test_a_worker_that_dies_while_it_waits_costs_no_job(service: Service, chest_file: Path) -> None:
    worker = service.queue.lanes[0].child.id
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.1)
    job = done(service, sent(service, chest_file).id, precision="bf16")
    assert (job.state, job.error) == (DONE, None)


def test_a_worker_that_grew_starts_anew_between_jobs(
    service: Service, chest_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "GROWTH_BYTES", -(1 << 40))
    worker = service.queue.lanes[0].child.id
    job = service.submit(sent(service, chest_file).id, "tiny_ct", formats=["csv"])
    assert service.jobs.wait(job.id, LONG_S).state == DONE
    wait_until(lambda: service.queue.lanes[0].child.id not in (None, worker))
    monkeypatch.undo()
    job = service.submit(job.image, "tiny_ct", formats=["nii"])
    assert service.jobs.wait(job.id, LONG_S).state == DONE


def test_two_jobs_of_one_key_are_computed_once(
    service: Service, large_file: Path, chest_file: Path
) -> None:
    ahead = service.submit(sent(service, large_file).id, "tiny_ct", formats=["nii"])
    image = sent(service, chest_file)
    twins = [service.submit(image.id, "tiny_ct", formats=["nii", "csv"]) for _ in range(2)]
    assert [job.state for job in twins] == [WAITING, WAITING]
    assert twins[0].key == twins[1].key
    ends = [service.jobs.wait(job.id, LONG_S) for job in twins]
    assert [job.state for job in ends] == [DONE, DONE]
    assert ends[0].found["times_s"] == ends[1].found["times_s"]
    service.remove(ends[0].id)
    assert service.file(ends[1], "segmentation.nii.gz").is_file()
    service.remove(ahead.id)


@pytest.mark.slow
def test_many_clients_get_each_their_own(service: Service, tmp_path: Path) -> None:
    wrong: list[str] = []

    def client(number: int) -> None:
        chest = tiny_chest()
        ct = chest.ct.astype(np.int16)
        ct[4 + number % 20, 6 + number // 20, :] = -400  # a line of ground-glass of its own
        path = save_nifti(tmp_path / f"{number}.nii.gz", ct, chest.affine)
        job = service.submit(sent(service, path).id, "tiny_ct", formats=["nii"])
        job = service.jobs.wait(job.id, 10 * LONG_S)
        expected = np.array(ORDER)[np.digitize(ct, THRESHOLDS_HU)]
        mask = nibabel.load(service.file(job, "segmentation.nii.gz"))
        if not np.array_equal(np.asarray(mask.dataobj), expected):  # type: ignore[attr-defined]
            wrong.append(job.id)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(32)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert wrong == []


def test_a_job_that_takes_too_long_is_refused(service: Service, large_file: Path) -> None:
    folder = service.settings.folder.parent / "slow"
    slow = Service(replace(service.settings, folder=folder, time_limit_s=0.5))
    try:
        job = slow.jobs.wait(slow.submit(sent(slow, large_file).id, "tiny_ct").id, LONG_S)
        assert job.state == REFUSED
        assert job.error is not None
        assert job.error["reason"] == "it took longer than 0.5 s."
    finally:
        slow.close()


def wait_until(is_so: Callable[[], bool], seconds: float = LONG_S) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)
