# SPDX-License-Identifier: Apache-2.0
"""The server's own REST: what it gives, and how it says what is wrong."""

import errno
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from phantoms import tiny_chest
from server_jobs import LONG_S, done, sent
from tiny_bundle import ORDER, THRESHOLDS_HU

from medvol.server import images
from medvol.server.images import Receiving
from medvol.server.service import Service

HOST = "http://127.0.0.1:8000"
NAME = "Müller ct.nii.gz"


def test_an_image_is_sent_a_bundle_runs_and_its_files_are_taken(
    client: TestClient, service: Service, chest_file: Path
) -> None:
    content = chest_file.read_bytes()
    headers = {"X-File-Name": "M%C3%BCller%20ct.nii.gz"}
    answer = client.post("/api/images", content=content, headers=headers)
    assert answer.status_code == 201
    image = answer.json()
    assert (image["name"], image["size_bytes"]) == (NAME, len(content))
    assert (image["modalities"], image["bundles"]) == (["CT", "MR"], ["tiny_ct"])
    assert image["id"] in [one["id"] for one in client.get("/api/images").json()]

    wanted = {"image": image["id"], "bundle": "tiny_ct"}
    answer = client.post("/api/jobs", json=wanted)
    assert answer.status_code == 201
    id_ = answer.json()["id"]
    job = client.get(f"/api/jobs/{id_}?wait=30").json()
    while job["state"] in ("waiting", "running"):
        job = client.get(f"/api/jobs/{id_}?wait=30").json()
    assert (job["state"], job["name"], job["error"]) == ("done", NAME, None)
    names = [file["name"] for file in job["files"]]
    mask = client.get(f"/api/jobs/{id_}/files/segmentation.nii.gz")
    assert mask.content == service.file(service.jobs.get(id_), "segmentation.nii.gz").read_bytes()
    expected = np.array(ORDER)[np.digitize(tiny_chest(noise_hu=5).ct, THRESHOLDS_HU)]
    found = voxels(service.file(service.jobs.get(id_), "segmentation.nii.gz"))
    np.testing.assert_array_equal(found, expected)
    assert "run.json" in names
    assert NAME not in service.file(service.jobs.get(id_), "run.json").read_text(encoding="utf-8")

    assert client.delete(f"/api/jobs/{id_}").status_code == 204
    assert client.get(f"/api/jobs/{id_}").status_code == 404
    assert client.get(f"/api/jobs/{id_}/files/run.json").status_code == 404


def voxels(mask: Path) -> npt.NDArray[np.uint8]:
    """(X, Y, Z) labels of a NIfTI file."""
    return np.asarray(nibabel.load(mask).dataobj).astype(np.uint8)


def test_jobs_are_listed_in_pages_the_newest_first(
    client: TestClient, service: Service, chest_file: Path
) -> None:
    image = sent(service, chest_file)
    ids = [done(service, image.id).id for _ in range(5)]
    other = sent(service, chest_file)
    last = done(service, other.id).id

    answer = client.get(f"/api/jobs?image={image.id}&limit=2&offset=1")
    assert answer.headers["X-Total-Count"] == "5"
    assert [job["id"] for job in answer.json()] == [ids[3], ids[2]]
    assert client.get("/api/jobs?limit=1").json()[0]["id"] == last
    assert client.get("/api/jobs?state=refused").json() == []
    assert client.get("/api/jobs?limit=0").status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/jobs/none", None, 404, "E_PATH"),
        ("POST", "/api/jobs/none/cancel", None, 404, "E_PATH"),
        ("DELETE", "/api/images/none", None, 404, "E_PATH"),
        ("GET", "/api/no/such/route", None, 404, "E_PATH"),
        ("PUT", "/api/jobs", None, 405, "E_REQUEST"),
        ("POST", "/api/jobs", {"image": "none", "bundle": "none"}, 404, "E_PATH"),
        ("POST", "/api/jobs", {"image": 3}, 422, "E_REQUEST"),
        ("POST", "/api/jobs", [], 422, "E_REQUEST"),
        ("GET", "/api/jobs/none?wait=31", None, 422, "E_REQUEST"),
        ("GET", "/api/jobs/none?wait=nan", None, 422, "E_REQUEST"),
        ("POST", "/api/images", None, 422, "E_EMPTY"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_code_and_remedy(
    client: TestClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = client.request(method, path, json=body) if body is not None else client.request(
        method, path
    )  # fmt: skip
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code)
    assert said["reason"].endswith(".")
    assert said["remedy"].endswith(".")


def test_an_option_that_is_not_allowed_is_said(
    client: TestClient, service: Service, chest_file: Path
) -> None:
    image = sent(service, chest_file)
    wanted = {"image": image.id, "bundle": "tiny_ct", "options": {"gate": 2}}
    answer = client.post("/api/jobs", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (422, "E_REQUEST")
    assert answer.json()["reason"] == "gate is '2'; give a threshold, 0 to 1, or off."


def test_too_much_and_a_full_disk_leave_nothing(
    app: FastAPI, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(app, HOST, raise_server_exceptions=False)
    before = sorted(service.images.folder.iterdir())
    monkeypatch.setattr(service.images, "largest_bytes", 10)
    said = client.post("/api/images", content=b"x" * 11)
    assert (said.status_code, said.json()["code"]) == (413, "E_TOO_BIG")
    said = client.post("/api/images", content=iter([b"x" * 6, b"x" * 6]))  # no length is announced
    assert (said.status_code, said.json()["code"]) == (413, "E_TOO_BIG")

    def full(_: Receiving, _part: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Receiving, "write", full)
        said = client.post("/api/images", content=b"x")
    assert (said.status_code, said.json()["code"]) == (507, "E_NOSPACE")
    monkeypatch.setattr(images, "LEFT_BYTES", 1 << 60)
    said = client.post("/api/images", content=b"x")
    assert (said.status_code, said.json()["code"]) == (507, "E_NOSPACE")
    assert sorted(service.images.folder.iterdir()) == before


def test_a_fault_of_the_server_is_no_404_and_shows_nothing(
    app: FastAPI, service: Service, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def broken() -> None:
        raise KeyError("/secret/path")

    monkeypatch.setattr(service.jobs, "all", broken)
    client = TestClient(app, HOST, raise_server_exceptions=False)
    answer = client.get("/api/jobs")
    assert (answer.status_code, answer.json()["code"]) == (500, "E_FAILED")
    assert "secret" not in answer.text + caplog.text
    assert "KeyError of a request failed" in caplog.text


def test_more_jobs_than_may_wait_are_refused(
    client: TestClient, service: Service, chest_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = sent(service, chest_file)
    monkeypatch.setattr(service.jobs, "before", lambda: {str(n): n for n in range(200)})
    wanted = {"image": image.id, "bundle": "tiny_ct", "options": {"gate": "off"}}
    answer = client.post("/api/jobs", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (429, "E_BUSY")
    assert int(answer.headers["Retry-After"]) > 0


def test_health_and_figures(client: TestClient, service: Service, chest_file: Path) -> None:
    job = done(service, sent(service, chest_file).id)
    said = client.get("/healthz").json()
    assert (said["status"], said["workers"], said["waiting"]) == ("ok", 1, 0)
    lines = client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['medvol_jobs{state="done"}']) >= 1
    assert float(values['medvol_jobs_total{state="done"}']) >= 1
    assert float(values['medvol_stage_seconds_total{stage="network"}']) > 0
    assert float(values['medvol_memory_bytes{process="worker 0"}']) > 1e6
    assert float(values["medvol_received_bytes_total"]) >= chest_file.stat().st_size
    assert job.name not in client.get("/metrics").text


def test_who_waits_for_a_job_hears_of_its_end_at_once(
    client: TestClient, service: Service, chest_file: Path
) -> None:
    image = sent(service, chest_file)
    asked = service.submit(image.id, "tiny_ct", {"gate": 0.25})
    answer = client.get(f"/api/jobs/{asked.id}?wait={LONG_S / 2}").json()
    assert answer["state"] in ("done", "refused")
    assert service.jobs.watchers == {}
