# SPDX-License-Identifier: Apache-2.0
"""`/info/`, `/session/` and `/infer/`: what 3D Slicer and OHIF ask, on a phantom of known masks."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dicom_phantoms import ct_series
from fastapi.testclient import TestClient
from forms import parts_of
from phantoms import TINY_AFFINE, tiny_chest
from tiny_bundle import ORDER, THRESHOLDS_HU

from medvol.images import read_image
from medvol.server.service import Service

CHEST = tiny_chest(noise_hu=5)
EXPECTED = np.array(ORDER)[np.digitize(CHEST.ct, THRESHOLDS_HU)]
NAMES = ["ground-glass opacity", "consolidation", "lung (rest)"]
RAW = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False}


def infer(client: TestClient, **query: Any) -> Any:
    params = query.pop("params", {})
    file = query.pop("file", None)
    files = {"file": (file.name, file.read_bytes())} if file else None
    asked = {"params": json.dumps(params)}
    return client.post("/infer/tiny_ct", params=query, data=asked, files=files)


def nrrd_voxels(content: bytes) -> tuple[dict[str, str], npt.NDArray[np.uint8]]:
    """Header fields and voxels in the file's order, by the format's description alone."""
    head, _, voxels = content.partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    if fields["encoding"] == "gzip":
        voxels = gzip.decompress(voxels)
    sizes = [int(n) for n in fields["sizes"].split()]
    return fields, np.frombuffer(voxels, np.uint8).reshape(sizes, order="F")


@pytest.fixture
def session(client: TestClient, chest_file: Path) -> str:
    files = {"files": (chest_file.name, chest_file.read_bytes())}
    return str(client.put("/session/", files=files).json()["session_id"])


def test_info_names_models_with_labels_in_the_order_of_values_and_no_config(
    client: TestClient,
) -> None:
    info = client.get("/info/").json()
    assert "config" not in info
    model = info["models"]["tiny_ct"]
    assert (model["type"], model["labels"], model["dimension"]) == ("segmentation", NAMES, 3)
    assert info["models"]["tiny_xray"]["type"] == "classification"
    assert info["labels"] == NAMES
    assert "Research use only" in info["description"]


def test_a_session_is_known_until_it_ends(client: TestClient, session: str) -> None:
    info = client.get(f"/session/{session}").json()
    assert (info["name"], info["path"], info["image"]) == (session, "", "image.nii.gz")
    assert client.get(f"/session/{session}?image=true").content.startswith(b"\x1f\x8b")
    assert client.delete(f"/session/{session}").status_code == 200
    assert client.get(f"/session/{session}").status_code == 404
    assert infer(client, session_id=session).status_code == 404


def chest_series() -> list[bytes]:
    """The chest phantom as CT slices, from the head downwards."""
    values = (CHEST.ct.transpose(2, 1, 0) + 1024).astype(np.uint16)
    images = ct_series(values, step=(0, 0, 4), PixelSpacing=[2, 2], SliceThickness=4)
    slices = []
    for image in reversed(images):
        image.save_as(stream := io.BytesIO(), enforce_file_format=True)
        slices.append(stream.getvalue())
    return slices


def test_a_session_takes_a_series_and_its_mask_is_in_the_order_of_its_stack(
    client: TestClient, service: Service
) -> None:
    files = [("files", (f"Doe^John {k}.dcm", part)) for k, part in enumerate(chest_series())]
    session, again = (client.put("/session/", files=files).json()["session_id"] for _ in range(2))
    assert client.get(f"/session/{session}").json()["image"] == "image.zip"
    assert service.images.get(session).sha256 == service.images.get(again).sha256
    answer = infer(client, session_id=session, output="image", params=RAW)
    # OHIF lays the bytes into its volume, whose slices go along the normal, here to the head
    assert (nrrd_voxels(answer.content)[1] == EXPECTED).all()


def test_all_gives_parameters_and_a_mask_on_the_grid_of_the_image(
    client: TestClient, session: str
) -> None:
    answer = infer(client, image="x", session_id=session)
    fields, files = parts_of(answer)
    assert json.loads(fields["params"])["label_names"] == dict(zip(NAMES, (1, 2, 3), strict=True))
    ((name, content),) = files.items()
    assert name.endswith(".nrrd")
    header, voxels = nrrd_voxels(content)
    assert (voxels == EXPECTED).all()
    assert header["space directions"] == "(2.0,0.0,0.0) (0.0,2.0,0.0) (0.0,0.0,4.0)"
    assert header["space origin"] == "(-30.0,-40.0,-20.0)"


def test_image_gives_the_raw_file_as_ohif_reads_it(client: TestClient, session: str) -> None:
    answer = infer(client, session_id=session, output="image", params=RAW)
    header, voxels = nrrd_voxels(answer.content)
    assert (header["encoding"], header["type"]) == ("raw", "unsigned char")
    assert (voxels == EXPECTED).all()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".seg.nrrd"])
def test_other_files_hold_the_same_mask(
    client: TestClient, session: str, suffix: str, tmp_path: Path
) -> None:
    params = {"result_extension": suffix, "unknown": [1]}
    answer = infer(client, session_id=session, output="image", params=params)
    (path := tmp_path / f"mask{suffix}").write_bytes(answer.content)
    mask = read_image(path, kind="mask")
    assert (mask.array == EXPECTED).all()
    assert np.allclose(mask.affine, TINY_AFFINE)


def test_a_wider_type_is_given_where_it_is_asked_for(client: TestClient, session: str) -> None:
    params = {**RAW, "result_dtype": "float32"}
    answer = infer(client, session_id=session, output="image", params=params)
    assert b"type: float\n" in answer.content
    voxels = np.frombuffer(answer.content.partition(b"\n\n")[2], "<f4")
    assert voxels.max() == 3.0


def test_a_file_is_taken_along(client: TestClient, chest_file: Path) -> None:
    assert infer(client, file=chest_file, output="json").json()["label_names"][NAMES[2]] == 3


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"image": "nowhere"}, 404),
        ({"session_id": "0" * 32}, 404),
        ({"image": "x", "params": {"result_extension": ".exe"}}, 422),
        ({"image": "x", "params": {"result_dtype": "complex"}}, 422),
        ({"image": "x", "params": [1]}, 422),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: TestClient, query: dict[str, Any], status: int
) -> None:
    answer = infer(client, **query)
    assert answer.status_code == status
    assert {"code", "reason", "remedy"} <= set(answer.json())


def test_an_unknown_model_is_404(client: TestClient, session: str) -> None:
    assert client.post("/infer/other", params={"session_id": session}).status_code == 404


def test_a_damaged_image_is_refused_with_its_code(client: TestClient, tmp_path: Path) -> None:
    (path := tmp_path / "cut.nii.gz").write_bytes(gzip.compress(b"no image"))
    answer = infer(client, file=path)
    assert answer.status_code == 422
    assert answer.json()["code"] == "E_FORMAT"


def test_a_radiograph_has_classes_and_no_mask(client: TestClient, service: Service) -> None:
    from PIL import Image

    picture = np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)
    Image.fromarray(picture).save(stream := io.BytesIO(), "PNG")
    with service.images.receiving("x.png") as coming:
        coming.write(stream.getvalue())
    assert coming.stored is not None
    asked = {"session_id": coming.stored.id}
    found = client.post("/infer/tiny_xray", params=asked).json()
    assert found["label_names"] == {}
    assert "classes" in json.dumps(found["found"])
    refused = client.post("/infer/tiny_xray", params={**asked, "output": "image"})
    assert (refused.status_code, refused.json()["code"]) == (422, "E_FORMAT")


def test_a_dicom_result_of_a_nifti_is_refused(client: TestClient, session: str) -> None:
    answer = infer(client, session_id=session, output="dicom_seg")
    assert (answer.status_code, answer.json()["code"]) == (422, "E_NOT_DICOM")


def test_an_image_of_the_datastore_is_known_by_its_id_and_its_answer_can_be_kept(
    client: TestClient, chest_file: Path, service: Service
) -> None:
    files = {"file": (chest_file.name, chest_file.read_bytes())}
    client.put("/datastore/image", params={"image": "CT 1/é"}, files=files)
    kept = infer(client, image="CT 1/é", output="json", params={"save_label": True}).json()
    assert kept["label_names"] == dict(zip(NAMES, (1, 2, 3), strict=True))
    entry = client.get("/datastore/", params={"output": "all"}).json()["objects"]["CT 1/é"]
    info = entry["labels"]["original"]["info"]
    assert (info["model"], [*info["params"]["label_names"]]) == ("tiny_ct", NAMES)
    (stored,) = [x for x in service.images.all() if x.origin == "datastore"]
    client.delete("/datastore/label", params={"id": "CT 1/é", "tag": "original"})
    again = infer(client, image=stored.id, output="json", params={"save_label": True})
    assert again.status_code == 200
    label = {"image": "CT 1/é", "tag": "original"}
    assert client.head("/datastore/label", params=label).status_code == 200
