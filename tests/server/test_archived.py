# SPDX-License-Identifier: Apache-2.0
"""An archive's series are shown, fetched when a job needs one, and results go back into it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dicom_phantoms import write
from fastapi.testclient import TestClient
from orthanc import Orthanc, orthanc
from server_jobs import LONG_S, STUDY, chest_series, done, sent

from medvol.server.app import create_app
from medvol.server.jobs import DONE, REFUSED
from medvol.server.refusals import Misused
from medvol.server.service import Service


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc with a study of two series."""
    folder = tmp_path_factory.mktemp("archive")
    with orthanc(folder / "orthanc") as archive:
        slices = [*chest_series(1, "thin"), *chest_series(2, "thick")]
        for path in write(folder / "slices", slices):
            archive.put(path)
        yield archive


@pytest.fixture(scope="module")
def server(service: Service, archive: Orthanc) -> Iterator[Service]:
    """A server of this archive."""
    folder = service.settings.folder.parent / "archived"
    server = Service(replace(service.settings, folder=folder, archive=archive.address))
    assert server.looking[0].first.wait(LONG_S)
    yield server
    server.close()


def test_a_series_is_fetched_for_a_job_and_its_results_are_stored(
    server: Service, archive: Orthanc
) -> None:
    client = TestClient(create_app(server), "http://127.0.0.1:8000")
    listed = client.get("/api/images?origin=archive").json()
    assert sorted(one["name"] for one in listed) == ["CT series 1 thin", "CT series 2 thick"]
    image = server.images.by_series(f"{STUDY}.2")
    assert image.path.exists() is False
    assert STUDY not in image.id
    job = done(server, image.id)
    assert (job.state, job.error) == (DONE, None)
    assert job.found["measurements"]
    again = done(server, image.id)
    assert again.found["times_s"] == job.found["times_s"]

    answer = client.post(f"/api/jobs/{job.id}/store")
    assert (answer.status_code, answer.json()) == (200, {"stored": 3, "failed": []})
    assert archive.modalities() == ["CT", "CT", "OT", "SEG", "SR"]
    assert client.post(f"/api/jobs/{job.id}/store").status_code == 200  # the same UIDs once more
    assert archive.modalities() == ["CT", "CT", "OT", "SEG", "SR"]

    assert server.archived is not None
    server.archived.look()
    assert server.images.get(image.id).sha256 == server.images.by_series(f"{STUDY}.2").sha256 != ""
    server.sweep(now=4e9)
    assert not (server.images.folder / image.id).exists()
    assert done(server, image.id).state == DONE  # it is fetched again


def test_what_cannot_be_fetched_or_stored_is_said(
    server: Service, service: Service, archive: Orthanc, chest_file: Path
) -> None:
    client = TestClient(create_app(server), "http://127.0.0.1:8000")
    job = done(server, sent(server, chest_file).id)
    answer = client.post(f"/api/jobs/{job.id}/store")
    assert (answer.status_code, answer.json()["code"]) == (422, "E_NOT_DICOM")
    with pytest.raises(Misused, match="no archive"):
        service.store(job)
    image = server.images.by_series(f"{STUDY}.1")
    archive.clear()
    refused = done(server, image.id)
    assert refused.state == REFUSED
    assert refused.error is not None
    assert refused.error["code"] == "E_ARCHIVE"
    assert STUDY not in str(refused.error)
    assert not (server.images.folder / image.id / "slices").exists()
