# SPDX-License-Identifier: Apache-2.0
"""Series of a folder of studies, as OHIF's plug-in asks for them: by their UID."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_phantoms import SERIES_UID, ct_series, write
from fastapi.testclient import TestClient
from phantoms import tiny_chest
from tiny_bundle import ORDER, THRESHOLDS_HU

from medvol.images import read_image
from medvol.server.app import create_app
from medvol.server.service import Service
from medvol.server.settings import Settings

CHEST = tiny_chest(noise_hu=5)
EXPECTED = np.array(ORDER)[np.digitize(CHEST.ct, THRESHOLDS_HU)]
STUDY_UID = SERIES_UID + ".9"
RAW = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False,
       "restore_label_idx": False}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of a server beside a folder with the chest phantom as a series, from the head downwards."""
    folder = tmp_path_factory.mktemp("series")
    values = (CHEST.ct.transpose(2, 1, 0) + 1024).astype(np.uint16)
    images = ct_series(values, step=(0, 0, 4), PixelSpacing=[2, 2], SliceThickness=4,
                       StudyInstanceUID=STUDY_UID,
                       FrameOfReferenceUID=STUDY_UID + ".1")  # fmt: skip
    write(folder / "studies" / "patient", images[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(settings.folder.parent / "home"))
        own = replace(settings, folder=folder / "state", studies=folder / "studies")
        service = Service(own)
        try:
            until = time.monotonic() + 60
            while not service.images.all():
                assert time.monotonic() < until
                time.sleep(0.1)
            yield TestClient(create_app(service), base_url="http://127.0.0.1")
        finally:
            service.close()


def test_a_mask_comes_in_the_order_of_the_stack(client: TestClient) -> None:
    query = {"image": SERIES_UID, "output": "image"}
    answer = client.post("/infer/tiny_ct", params=query, data={"params": json.dumps(RAW)})
    head, _, voxels = answer.content.partition(b"\n\n")
    assert b"encoding: raw" in head
    found = np.frombuffer(voxels, np.uint8).reshape(EXPECTED.shape, order="F")
    assert (found == EXPECTED).all()


def test_the_next_image_is_named_as_ohif_opens_it(client: TestClient, tmp_path: Path) -> None:
    sample = client.post("/activelearning/first", json={}).json()
    assert (sample["StudyInstanceUID"], sample["SeriesInstanceUID"]) == (STUDY_UID, SERIES_UID)
    assert sample["id"] == SERIES_UID
    assert sample["name"].endswith(".nrrd")  # as 3D Slicer opens what it fetches
    got = client.get("/datastore/image", params={"image": SERIES_UID})
    (path := tmp_path / sample["name"]).write_bytes(got.content)
    assert (read_image(path).array == CHEST.ct).all()


def test_a_label_of_a_series_is_kept_with_a_copy_of_the_image(client: TestClient) -> None:
    content = EXPECTED.astype(np.uint8).tobytes(order="F")
    answer = client.put("/datastore/label", params={"image": SERIES_UID},
                        files={"label": ("label.bin", content)})  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert client.get("/datastore/").json() == {
        "total": 1, "completed": 1, "label_tags": {"final": 1},
    }  # fmt: skip
    assert client.post("/activelearning/first", json={}).json() == {}


def test_a_dicom_segmentation_is_answered(client: TestClient) -> None:
    answer = client.post("/infer/tiny_ct", params={"image": SERIES_UID, "output": "dicom_seg"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.content[128:132] == b"DICM"
