# SPDX-License-Identifier: Apache-2.0
"""`/datastore/`: images that stay, and labels that are looked at before they are kept."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fastapi.testclient import TestClient
from phantoms import TINY_AFFINE, save_nifti, tiny_chest

from medvol.data.datalist import Datalist
from medvol.images import read_image
from medvol.outputs.nrrd import write_nrrd
from medvol.server.images import Images
from medvol.server.monailabel.store import Store
from medvol.server.service import Service

ID = "CT 1/é"
NAMES = ["ground-glass opacity", "consolidation", "lung (rest)"]
TRUTH = tiny_chest().labels


@pytest.fixture(autouse=True)
def image(client: TestClient, chest_file: Path) -> str:
    files = {"file": ("/tmp/Doe^John.nii.gz", chest_file.read_bytes())}
    answer = client.put("/datastore/", params={"image": ID}, files=files)
    assert answer.json() == {"image": ID}
    return ID


@pytest.fixture
def folder(service: Service) -> Path:
    return service.settings.folder / "datastore"


def nrrd(labels: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64] = TINY_AFFINE) -> bytes:
    write_nrrd(stream := io.BytesIO(), labels, affine)
    return stream.getvalue()


def submit(
    client: TestClient, content: bytes, rows: list[tuple[str, int]], name: str = "label.nrrd",
    **query: str,
) -> Any:  # fmt: skip
    said = {"label_info": [{"name": name, "idx": value} for name, value in rows]}
    return client.put(
        "/datastore/label", params={"image": ID, **query}, data={"params": json.dumps(said)},
        files={"label": (name, content)},
    )  # fmt: skip


def kept(folder: Path, tag: str = "final") -> npt.NDArray[Any]:
    entry = json.loads((folder / "datastore.json").read_text())["images"][ID]
    return read_image(folder / entry["labels"][tag]["file"], kind="mask").array


def test_an_image_that_was_sent_stays_and_is_given_back(
    client: TestClient, image: str, chest_file: Path, folder: Path, service: Service
) -> None:
    got = client.get("/datastore/image", params={"image": image})
    assert got.content == chest_file.read_bytes()
    assert client.head("/datastore/image", params={"image": image}).status_code == 200
    assert client.get("/datastore/image/info", params={"image": image}).json()["ts"] > 0
    service.sweep(now=4e9)  # the year 2096
    assert client.get("/datastore/image", params={"image": image}).status_code == 200
    assert not [path for path in folder.rglob("*") if "Doe" in path.name]


def test_names_count_and_numbers_follow_them(client: TestClient, image: str, folder: Path) -> None:
    """The viewer's lung is 1 and its consolidation 7; it has no ground-glass opacity."""
    sent = np.select([TRUTH == 3, TRUTH == 2], [1, 7]).astype(np.uint8)
    answer = submit(client, nrrd(sent), [("Lung (rest)", 1), ("consolidation", 7)])
    assert answer.json() == {
        "image": image, "label": image, "voxels": {"lung (rest)": 1440, "consolidation": 32},
    }  # fmt: skip
    assert (kept(folder) == np.where(TRUTH == 1, 0, TRUTH)).all()


def test_a_label_comes_back_counted_from_1(client: TestClient, image: str, tmp_path: Path) -> None:
    submit(client, nrrd(np.where(TRUTH == 1, 0, TRUTH)), [(NAMES[1], 2), (NAMES[2], 3)])
    got = client.get("/datastore/label", params={"label": image, "tag": "final"})
    (path := tmp_path / "label.nii.gz").write_bytes(got.content)
    assert 'filename="label.nii.gz"' in got.headers["content-disposition"]
    expected = np.select([TRUTH == 2, TRUTH == 3], [1, 2])
    assert (read_image(path, kind="mask").array == expected).all()
    info = client.get("/datastore/label/info", params={"label": image, "tag": "final"}).json()
    assert info["params"]["label_names"] == {NAMES[1]: 1, NAMES[2]: 2}


def test_what_is_not_named_is_what_the_bundle_calls_it(client: TestClient, folder: Path) -> None:
    assert submit(client, nrrd(TRUTH), [(NAMES[0], 1)]).status_code == 200
    assert (kept(folder) == TRUTH).all()


def test_voxels_alone_are_taken_in_the_order_of_the_image(client: TestClient, folder: Path) -> None:
    sent = TRUTH.astype("<u2").tobytes(order="F")
    assert submit(client, sent, [], name="label.bin").status_code == 200
    assert (kept(folder) == TRUTH).all()
    assert submit(client, sent[:-1], [], name="label.bin").json()["code"] == "E_GEOMETRY"


def test_segments_that_were_saved_cropped_are_laid_on_the_image(
    client: TestClient, folder: Path
) -> None:
    moved = TINY_AFFINE.copy()
    moved[:3, 3] = TINY_AFFINE[:3] @ (6, 10, 4, 1)
    fields = {"Segment0_ID": "a", "Segment0_Name": "lung (rest)", "Segment0_LabelValue": "1",
              "Segment0_Layer": "0", "Segment1_ID": "b", "Segment1_Name": "background",
              "Segment1_LabelValue": "2", "Segment1_Layer": "0"}  # fmt: skip
    cropped = (TRUTH[6:26, 10:22, 4:12] == 3).astype(np.uint8)
    cropped[cropped == 0] = 2
    write_nrrd(stream := io.BytesIO(), cropped, moved, fields=fields)
    answer = submit(client, stream.getvalue(), [], name="label.seg.nrrd")
    assert answer.json()["voxels"] == {"lung (rest)": 1440}
    assert (kept(folder) == np.where(TRUTH == 3, 3, 0)).all()


def test_an_empty_label_says_that_nothing_was_found(client: TestClient, folder: Path) -> None:
    assert submit(client, nrrd(np.zeros_like(TRUTH)), []).json()["voxels"] == {}
    assert not kept(folder).any()


@pytest.mark.parametrize(
    ("content", "rows", "code"),
    [
        (nrrd(TRUTH[:-1]), [], "E_GEOMETRY"),
        (nrrd(TRUTH, np.diag([2.0, 2, 4, 1])), [], "E_GEOMETRY"),
        (nrrd(TRUTH + np.uint8(9)), [], "E_LABELS"),
        (b"NRRD0005\ntype: short\n", [], "E_TRUNCATED"),
        (b"", [], "E_EMPTY"),
    ],
)
def test_a_label_that_does_not_fit_is_refused_and_nothing_changes(
    client: TestClient, folder: Path, content: bytes, rows: list[Any], code: str
) -> None:
    before = (folder / "datastore.json").read_bytes()
    answer = submit(client, content, rows, tag="checked")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "\n" not in answer.json()["reason"]
    assert (folder / "datastore.json").read_bytes() == before
    assert list((folder / "incoming").iterdir()) == []
    assert not (folder / "labels" / "checked").exists()


def test_final_labels_are_listed_and_make_a_datalist(
    client: TestClient, image: str, folder: Path
) -> None:
    submit(client, nrrd(TRUTH), [(name, k) for k, name in enumerate(NAMES, start=1)])
    stats = client.get("/datastore/").json()
    assert (stats["total"], stats["completed"], stats["label_tags"]["final"]) == (1, 1, 1)
    assert client.get("/info/").json()["datastore"] == stats
    assert client.get("/datastore/?output=train").json() == [{"image": image, "label": image}]
    (pair,) = Datalist.read(folder / "datalists" / "tiny_ct.json").items()
    assert (read_image(pair["label"], kind="mask").array == TRUTH).all()
    assert (read_image(pair["image"]).array == tiny_chest(noise_hu=5).ct).all()


def test_a_name_that_the_bundle_does_not_know_is_kept_but_not_trained_on(
    client: TestClient, folder: Path
) -> None:
    sent = np.where(TRUTH == 2, 9, 0).astype(np.uint8)
    assert submit(client, nrrd(sent), [("vessel", 9)]).json()["voxels"] == {"vessel": 32}
    assert set(np.unique(kept(folder))) == {0, 4}
    assert not (folder / "datalists" / "tiny_ct.json").exists()


def test_labels_have_notes_that_the_reviewer_changes(client: TestClient, image: str) -> None:
    submit(client, nrrd(TRUTH), [], tag="version_1")
    where = {"label": image, "tag": "version_1"}
    params = json.dumps({"segmentationMeta": {"status": "approved"}})
    answer = client.put("/datastore/updatelabelinfo", params=where, data={"params": params})
    assert answer.status_code == 200
    info = client.get("/datastore/label/info", params=where).json()
    assert info["segmentationMeta"] == {"status": "approved"}
    gone = client.delete("/datastore/label", params={"id": image, "tag": "version_1"})
    assert gone.status_code == 200
    assert (
        client.head("/datastore/label", params={"image": image, "tag": "version_1"}).status_code
        == 404
    )


def test_another_image_under_the_same_id_must_fit_its_labels(
    client: TestClient, image: str, tmp_path: Path, folder: Path
) -> None:
    submit(client, nrrd(TRUTH), [])
    other = save_nifti(tmp_path / "x.nii.gz", tiny_chest().ct[:-1], TINY_AFFINE)
    same = save_nifti(tmp_path / "y.nii.gz", tiny_chest().ct, TINY_AFFINE)
    query: dict[str, Any] = {"params": {"image": image}}
    refused = client.put("/datastore/image", files={"file": ("x.nii.gz", other.read_bytes())},
                         **query)  # fmt: skip
    assert (refused.status_code, refused.json()["code"]) == (422, "E_CHANGED")
    taken = client.put("/datastore/image", files={"file": ("y.nii.gz", same.read_bytes())},
                       **query)  # fmt: skip
    assert taken.status_code == 200
    got = client.get("/datastore/image", params={"image": image}).content
    assert got == same.read_bytes()
    assert (kept(folder) == TRUTH).all()


def test_an_image_is_deleted_with_its_labels(client: TestClient, image: str, folder: Path) -> None:
    submit(client, nrrd(TRUTH), [])
    assert client.delete("/datastore/", params={"id": image}).status_code == 200
    assert client.get("/datastore/?output=all").json()["objects"] == {}
    assert [x for x in folder.rglob("*") if x.suffix in (".gz", ".nrrd")] == []
    assert submit(client, nrrd(TRUTH), []).status_code == 404


@pytest.mark.parametrize("tag", ["../final", ".hidden", "a/b", "x" * 65])
def test_a_tag_that_no_folder_should_have_is_refused(client: TestClient, tag: str) -> None:
    assert submit(client, nrrd(TRUTH), [], tag=tag).status_code == 422


def test_what_a_client_says_of_an_image_does_not_rename_it(client: TestClient, image: str) -> None:
    said = {"info": json.dumps({"name": 5, "ts": "never", "reader": "anna"})}
    answer = client.put("/datastore/image/info", params={"image": image}, data=said)
    assert answer.status_code == 200
    info = client.get("/datastore/image/info", params={"image": image}).json()
    assert (info["name"], info["reader"]) == ("Doe^John.nii.gz", "anna")
    assert info["ts"] > 0
    assert [*client.get("/datastore/?output=all").json()["objects"]] == [image]


def test_what_a_server_that_was_killed_was_looking_at_goes(
    service: Service, folder: Path, client: TestClient
) -> None:
    left = folder / "incoming" / "0123.nrrd"
    left.write_bytes(nrrd(TRUTH))
    Store(folder, service.images)
    assert not left.exists()
    gone = client.delete("/datastore/label", params={"id": ID, "tag": "never"})
    assert (gone.status_code, gone.json()["code"]) == (404, "E_PATH")


def test_an_image_that_is_no_single_file_is_not_offered_to_viewers(tmp_path: Path) -> None:
    images = Images(tmp_path / "images", largest_bytes=1 << 20)
    for name, series in (("patient", ""), ("series", "1.2.3")):
        (tmp_path / name).mkdir()
        images.lend(tmp_path / name, name, sha256=name, origin="studies", series=series)
    assert [*Store(tmp_path / "datastore", images).entries()] == ["1.2.3"]
