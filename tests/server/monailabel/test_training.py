# SPDX-License-Identifier: Apache-2.0
"""`/train/`, `/activelearning/` and what else there is; the training itself is a quick stand-in."""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from phantoms import TINY_AFFINE, save_nifti, tiny_chest

from medvol.outputs.nrrd import write_nrrd
from medvol.server.app import create_app
from medvol.server.jobs import DONE, REFUSED
from medvol.server.monailabel import train, training
from medvol.server.monailabel.routes import FOLDER
from medvol.server.monailabel.store import Store
from medvol.server.monailabel.training import Trainings, new_name
from medvol.server.service import Bundles, Service
from medvol.server.settings import Settings

STAND_IN = """
import json, os, shutil, sys, time
from pathlib import Path
from medvol.bundle.find import user_folder
words = sys.argv[1:]
if "MEDVOL_DICOMWEB_PASSWORD" in os.environ:
    sys.exit("it knows the password of the archive")
command, bundle = words[:2]
asked = dict(zip(words[2::2], words[3::2]))
items = json.loads(Path(asked["--data"]).read_text())["training"]
assert command == "train" and len(items) == 2
run = Path(asked["--output"]) / "all" / "model"
run.mkdir(parents=True)
(run / "progress.json").write_text('{"epoch": 3, "seconds": 1.0, "stopped": null}')
(run / "curves.csv").write_text("epoch,step,name,value\\n1,1,val_mean_dice,0.5\\n")
if asked["--set"] == "epochs=7":
    time.sleep(600)
if asked["--set"] == "epochs=9":
    sys.exit("E_FAILED " + str(run) + ": it is a stand-in.")
user_folder().mkdir(parents=True, exist_ok=True)
shutil.copytree(bundle, user_folder() / asked["--name"])
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, forked_python: str) -> None:
    monkeypatch.setattr(training, "LOOK", (forked_python, *training.LOOK[1:]))
    monkeypatch.setattr(training, "PROGRAM", (sys.executable, "-c", STAND_IN))
    monkeypatch.setenv("MEDVOL_DICOMWEB_PASSWORD", "hush")
    for module in (training, train):  # the tiny bundle has no source
        monkeypatch.setattr(module, "is_trainable", lambda spec: spec.name.startswith("tiny_ct"))


@pytest.fixture
def store(service: Service) -> Store:
    return Store(service.settings.folder / FOLDER, service.images)


@pytest.fixture
def two(client: TestClient, tmp_path: Path) -> Iterator[list[str]]:
    """Ids of two images without a label."""
    for k in range(2):
        chest = tiny_chest(noise_hu=5 + k)
        path = save_nifti(tmp_path / f"{k}.nii.gz", chest.ct, chest.affine)
        files = {"file": (path.name, path.read_bytes())}
        client.put("/datastore/image", params={"image": f"scan {k}"}, files=files)
    yield ["scan 0", "scan 1"]
    for k in range(2):
        client.delete("/datastore/image", params={"id": f"scan {k}"})


def label(client: TestClient, id_: str) -> None:
    write_nrrd(stream := io.BytesIO(), tiny_chest().labels, TINY_AFFINE)
    files = {"label": ("x.nrrd", stream.getvalue())}
    assert client.put("/datastore/label", params={"image": id_}, files=files).status_code == 200


def until(client: TestClient, holds: Callable[[Any], bool], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not holds(answer := client.get("/train/")):
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)
    return answer.json()


def test_nothing_is_trained_and_too_few_labels_train_nothing(
    client: TestClient, two: list[str]
) -> None:
    for query in ("", "?check_if_running=true"):
        assert client.get(f"/train/{query}").status_code == 404
    assert client.delete("/train/").status_code == 404
    label(client, two[0])
    answer = client.post("/train/tiny_ct", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "E_EMPTY")
    assert "1 submitted labels" in answer.json()["reason"]
    assert "a training needs 2" in answer.json()["reason"]
    for model in ("tiny_xray", "other"):
        assert client.post(f"/train/{model}").status_code == 404
    assert client.post("/train/tiny_ct", json={"epochs": "many"}).status_code == 422


def test_a_training_ends_with_a_new_version_that_is_served_beside_the_old_one(
    client: TestClient, service: Service, two: list[str], store: Store
) -> None:
    for id_ in two:
        label(client, id_)
    config = client.get("/info/").json()["trainers"]["tiny_ct"]["config"]
    begun = client.post("/train/tiny_ct", json={**config, "client_id": "user-xyz"}).json()
    assert (begun["status"], begun["model"]) == ("RUNNING", "tiny_ct")
    assert begun["details"][0].startswith("2 labels, epoch ")
    over = until(client, lambda answer: answer.json()["status"] == "DONE")
    assert over["result"]["bundle"] == "tiny_ct_v2"
    assert client.get("/train/?check_if_running=true").status_code == 404
    info = client.get("/info/").json()
    assert {"tiny_ct", "tiny_ct_v2"} <= set(info["models"])
    query = {"image": two[0], "output": "json"}
    found = client.post("/infer/tiny_ct_v2", params=query).json()  # its worker may read it
    assert found["model"] == "tiny_ct_v2", found
    stats = info["train_stats"]["tiny_ct"]
    assert (stats["epoch"], stats["total_epochs"], stats["best_metric"]) == (3, 20, 0.5)
    assert new_name("tiny_ct_v2") == "tiny_ct_v3"
    service.bundles = Bundles({"tiny_ct": service.bundles["tiny_ct"]})
    assert [task.status for task in Trainings(service, store).tasks] == ["DONE"]  # a restart
    assert "tiny_ct_v2" in service.bundles


def test_one_training_at_a_time_and_it_can_be_stopped(client: TestClient, two: list[str]) -> None:
    for id_ in two:
        label(client, id_)
    assert client.post("/train/", json={"tiny_ct": {"epochs": 7}}).json()["status"] == "RUNNING"
    assert client.get("/train/?check_if_running=true").json()["status"] == "RUNNING"
    assert client.post("/train/tiny_ct").status_code == 429
    begun = time.monotonic()
    stopped = client.delete("/train/").json()
    assert stopped["status"] == "STOPPED"
    assert time.monotonic() - begun < 10
    assert client.get("/train/?check_if_running=true").status_code == 404


def test_a_training_whose_bundle_cannot_be_served_has_failed(
    client: TestClient, service: Service, two: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(folder: Path) -> None:
        raise OSError(5, "the disk is broken", str(folder))

    for id_ in two:
        label(client, id_)
    monkeypatch.setattr(service, "add", add)
    client.post("/train/tiny_ct", json={})
    failed = until(client, lambda answer: answer.json()["status"] != "RUNNING")
    assert failed["status"] == "ERROR"
    assert str(service.settings.folder.parent) not in json.dumps(failed)


def test_a_training_ends_with_its_server(settings: Settings, tmp_path: Path) -> None:
    own = Service(replace(settings, folder=tmp_path / "own"), at_work=False)
    client = TestClient(create_app(own), base_url="http://127.0.0.1:8000")
    try:
        for k in range(2):
            chest = tiny_chest(noise_hu=5 + k)
            path = save_nifti(tmp_path / f"{k}.nii.gz", chest.ct, chest.affine)
            files = {"file": (path.name, path.read_bytes())}
            client.put("/datastore/image", params={"image": f"scan {k}"}, files=files)
            label(client, f"scan {k}")
        assert client.post("/train/tiny_ct", json={"epochs": 7}).json()["status"] == "RUNNING"
    finally:
        own.close()
    (record,) = (tmp_path / "own" / "training").glob("*/task.json")
    assert json.loads(record.read_text())["status"] == "STOPPED"
    mine = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [words for words in mine if str(tmp_path) in words]


def test_a_training_that_fails_says_why_without_a_path(
    client: TestClient, two: list[str], tmp_path: Path
) -> None:
    for id_ in two:
        label(client, id_)
    client.post("/train/tiny_ct", json={"epochs": 9})
    failed = until(client, lambda answer: answer.json()["status"] == "ERROR")
    assert failed["details"][-1].endswith("it is a stand-in.")
    assert str(tmp_path.parent) not in json.dumps(failed)


def test_the_next_image_is_one_without_a_label_that_nobody_else_has(
    client: TestClient, two: list[str]
) -> None:
    first = client.post("/activelearning/first", json={"client_id": "anna"}).json()
    assert (first["id"], first["name"]) == ("scan 0", "0.nii.gz")
    assert first["checksum"].startswith("SHA256:")
    again = client.post("/activelearning/first", json={"client_id": "anna"}).json()
    assert again["id"] == "scan 0"
    assert client.post("/activelearning/random", json={"client_id": "bob"}).json()["id"] == "scan 1"
    for id_ in two:
        label(client, id_)
    assert client.post("/activelearning/random").json() == {}
    assert client.post("/activelearning/other").status_code == 404


def test_the_image_of_which_the_network_is_least_sure_comes_first(
    client: TestClient, two: list[str], service: Service, store: Store
) -> None:
    for id_, share in zip(two, (0.121, 0.124), strict=True):
        service.jobs.new(image=store.image(id_).id, name="", bundle="tiny_ct", options={}, key=id_,
                         state=DONE, found={"undecided": share})  # fmt: skip
    assert client.post("/activelearning/undecided", json={}).json()["id"] == "scan 1"


def test_logs_have_a_line_a_job_and_no_name(client: TestClient, service: Service) -> None:
    service.jobs.new(image="i", name="Doe^John.nii", bundle="tiny_ct", options={}, key="k",
                     state=REFUSED, started=1.0, ended=3.5, error={"code": "E_DIMS"})  # fmt: skip
    said = client.get("/logs/?lines=1")
    assert said.headers["content-type"].startswith("text/plain")
    assert said.text.endswith("tiny_ct refused 2.5 s E_DIMS\n")
    assert "Doe" not in said.text


def test_weights_can_be_compared_and_fetched(client: TestClient, service: Service) -> None:
    weights = service.bundles["tiny_ct"].weights
    info = client.get("/model/info/tiny_ct").json()
    assert info["checksum"] == f"SHA256:{service.bundles['tiny_ct'].weights_sha256}"
    assert client.get("/model/tiny_ct").content == weights.read_bytes()
    assert client.get("/model/other").status_code == 404


def test_a_batch_goes_over_images_without_a_label(client: TestClient, two: list[str]) -> None:
    assert client.get("/batch/infer").status_code == 404
    label(client, two[0])
    begun = client.post("/batch/infer/tiny_ct").json()
    assert begun["details"][0].endswith("of 1 images")
    assert client.delete("/batch/infer").json()["status"] == "DONE"
    assert np.array_equal([client.get("/batch/infer?check_if_running=true").status_code], [404])


def test_images_that_no_bundle_takes_are_passed_by(
    client: TestClient, two: list[str], service: Service, store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = store.image(two[0]).id  # as a radiograph is beside a bundle of CT
    monkeypatch.setattr(
        service, "suited", lambda stored: [] if stored.id == other else [*service.bundles]
    )
    assert client.post("/activelearning/first", json={}).json()["id"] == "scan 1"
    begun = client.post("/batch/infer/tiny_ct").json()
    assert begun["details"][0].endswith("of 1 images")
    client.delete("/batch/infer")
