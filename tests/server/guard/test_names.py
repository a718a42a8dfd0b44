"""Names of patients stay with the images: no log, address, name of a file or error has them."""

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_phantoms import ct_series, write
from fastapi.testclient import TestClient
from phantoms import tiny_chest

from medvol.server.service import Service

PATIENT = "Zwetschgenberger^Anna"
NAME = "zwetschgenberger"  # part of it, in small letters, as it is looked for
UID = "1.2.826.0.1.3680043.8.498.7"
FILE = "Zwetschgenberger Anna CT.zip"


def archive(folder: Path) -> bytes:
    """A .zip of slices that name their patient, as do their files."""
    stored = (tiny_chest(noise_hu=5).ct.T.astype(int) + 1024).clip(0).astype(np.uint16)
    series = ct_series(
        stored, step=(0, 0, 10), PixelSpacing=[8, 8], PatientName=PATIENT, PatientID=PATIENT,
        StudyInstanceUID=UID, FrameOfReferenceUID=UID + ".1",
    )  # fmt: skip
    paths = write(folder, series)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for path in paths:
            out.write(path, f"{PATIENT}/{PATIENT}_{path.name}")
    return packed.getvalue()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, also what nobody would print."""
    caplog.set_level(logging.DEBUG)
    return caplog


def holding(folder: Path) -> list[str]:
    """Files below a folder which have the name, in their own name or in what they hold."""
    return [
        path.relative_to(folder).as_posix() for path in folder.rglob("*")
        if NAME in path.name.lower()
        or (path.is_file() and NAME in path.read_bytes().decode("latin-1").lower())
    ]  # fmt: skip


def ended(client: TestClient, image: str) -> Any:
    """A job on an image, when it is over."""
    job = client.post("/api/jobs", json={"image": image, "bundle": "tiny_ct"}).json()
    for _ in range(6):
        if job["state"] in ("waiting", "running"):
            job = client.get(f"/api/jobs/{job['id']}?wait=30").json()
    return job


def test_a_name_is_in_the_images_only(
    client: TestClient, service: Service, tmp_path: Path, logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    well = archive(tmp_path)
    bad = well[:-100]
    addresses, jobs = [], []
    for content in (well, bad):
        headers = {"X-File-Name": FILE.replace(" ", "%20")}
        image = client.post("/api/images", content=content, headers=headers).json()["id"]
        jobs.append(ended(client, image))
        addresses += [image, jobs[-1]["id"], *(file["name"] for file in jobs[-1]["files"])]
    assert [job["state"] for job in jobs] == ["done", "refused"], jobs[0]["error"]
    assert jobs[1]["error"]["reason"]
    assert NAME not in str(jobs[1]["error"]).lower()
    assert NAME not in " ".join(addresses).lower()
    assert NAME not in logged.text.lower()
    printed = capfd.readouterr()
    assert NAME not in (printed.out + printed.err).lower()
    folder = service.settings.folder
    has_it = [name for name in holding(folder) if not name.endswith(".dcm")]
    allowed = ("images/", "jobs/")  # the image, and how its sender called it
    assert [name for name in has_it if not name.startswith(allowed)] == []
    assert all(NAME not in path.name.lower() for path in folder.rglob("*"))
    assert [name for name in has_it if name.startswith("images/")]  # so the search finds


def test_a_bomb_is_refused(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.dcm", bytes(100 << 20))
    assert len(packed.getvalue()) < 1 << 20
    image = client.post("/api/images", content=packed.getvalue()).json()["id"]
    job = ended(client, image)
    assert (job["state"], job["error"]["code"]) == ("refused", "E_TOO_BIG")
