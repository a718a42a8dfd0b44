# SPDX-License-Identifier: Apache-2.0
"""Images in a folder of studies: found, known again, changed, and never deleted."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import save_volumes, tiny_brain
from dicom_phantoms import write
from fastapi.testclient import TestClient
from phantoms import save_nifti, tiny_chest
from PIL import Image
from server_jobs import LONG_S, STUDY, chest_series, done

from medvol.errors import InputError
from medvol.server import studies
from medvol.server.app import create_app
from medvol.server.images import Stored
from medvol.server.indexing import found_in
from medvol.server.jobs import DONE
from medvol.server.refusals import Missing
from medvol.server.service import Service
from medvol.server.studies import Looking

PATIENT = "Zwetschgenberger"


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies: two series in one folder, one in two, a volume, a radiograph, others."""
    top = tmp_path_factory.mktemp("studies")
    write(top / PATIENT / "ct", [*chest_series(1, "thin"), *chest_series(2, "thick")])
    third = chest_series(3, "split")
    write(top / PATIENT / "split" / "a", third[:8])
    write(top / PATIENT / "split" / "b", third[8:])
    chest = tiny_chest(noise_hu=5)
    save_nifti(top / "volumes" / "chest.nii.gz", chest.ct, chest.affine)
    save_nifti(top / "volumes" / "chest_mask.nii.gz", chest.labels, chest.affine)
    (top / "x").mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(top / "x/one.png")
    (top / "notes.txt").write_text("nothing")
    return top


@pytest.fixture(scope="module")
def server(service: Service, top: Path) -> Iterator[Service]:
    """A server of these studies."""
    folder = service.settings.folder.parent / "studies"
    server = Service(replace(service.settings, folder=folder, studies=top))
    assert server.looking[0].first.wait(LONG_S)
    yield server
    server.close()


def test_what_lies_in_a_folder_is_found_once_each(top: Path) -> None:
    found = sorted(found_in(top), key=lambda one: (one.name, one.series))
    assert [(one.name, one.series[len(STUDY) :], one.modalities, one.description)
            for one in found] == [
        (f"{PATIENT}/ct", ".1", ("CT",), "thin"),
        (f"{PATIENT}/ct", ".2", ("CT",), "thick"),
        (f"{PATIENT}/split", ".3", ("CT",), "split"),
        ("volumes/chest.nii.gz", "", ("CT", "MR"), ""),
        ("x/one.png", "", ("XR", "MR"), ""),
    ]  # fmt: skip


def test_radiographs_are_told_from_slices_beside_them(tmp_path: Path) -> None:
    radiograph = chest_series(7, "chest pa")[0]
    radiograph.Modality = "CR"
    write(tmp_path / "a", chest_series(1, "thin"))
    write(tmp_path / "a" / "b", [radiograph])
    found = sorted(found_in(tmp_path), key=lambda one: one.name)
    assert [(one.name, one.series[len(STUDY) :], one.modalities, one.description)
            for one in found] == [
        ("a", ".1", ("CT",), "thin"), ("a/b/IM000.dcm", "", ("XR",), "chest pa"),
    ]  # fmt: skip


def test_mr_sequences_of_a_patient_are_an_image_beside_their_files(tmp_path: Path) -> None:
    save_volumes(tmp_path / "a" / "whole", tiny_brain())
    shutil.copytree(tmp_path / "a" / "whole", tmp_path / "a" / "blind")
    (tmp_path / "a" / "blind" / "flair.nii.gz").unlink()
    for number, sequence in enumerate(("T1 pre", "FLAIR")):
        write(tmp_path / "b" / sequence, chest_series(number, sequence))
    found = {one.name: one for one in found_in(tmp_path)}
    assert sorted(found) == [
        *(f"a/blind/{x}.nii.gz" for x in ("t1", "t1c")), "a/whole",
        *(f"a/whole/{x}.nii.gz" for x in ("flair", "t1", "t1c")), "b", "b/FLAIR", "b/T1 pre",
    ]  # fmt: skip
    for name in ("a/whole", "b"):
        assert (found[name].modalities, found[name].series) == (("MR",), "")
        assert found[name].path == str(tmp_path / name)


def test_slices_in_the_folder_of_studies_itself_have_its_name(tmp_path: Path) -> None:
    write(tmp_path / "inbox", chest_series(1, "thin"))
    (found,) = found_in(tmp_path / "inbox")
    assert found.name == "inbox"


def by_name(server: Service, name: str) -> Stored:
    """The first image of a name."""
    return next(x for x in server.images.all() if x.name == name)


def test_they_are_listed_and_jobs_run_on_them(server: Service) -> None:
    client = TestClient(create_app(server), "http://127.0.0.1:8000")
    listed = client.get("/api/images?origin=studies").json()
    assert len(listed) == 5
    thick = next(one for one in listed if one["description"] == "thick")
    assert (thick["modalities"], thick["bundles"]) == (["CT"], ["tiny_ct"])
    assert PATIENT not in thick["id"]
    job = done(server, thick["id"])
    assert (job.state, job.error) == (DONE, None)
    assert job.options == {"series": f"{STUDY}.2"}
    assert done(server, server.images.by_series(f"{STUDY}.3").id).state == DONE
    again = done(server, thick["id"])
    assert again.key == job.key
    assert again.found["times_s"] == job.found["times_s"]  # not computed again
    assert client.delete(f"/api/images/{thick['id']}").status_code == 422
    server.remove(job.id)
    server.remove(again.id)
    assert server.images.get(thick["id"]).path.is_dir()
    server.sweep(now=4e9)
    assert len(server.images.all()) == 5
    names = [str(path) for path in server.settings.folder.rglob("*")]
    assert not any(PATIENT in name for name in names)


def test_what_changes_is_another_image_and_what_goes_is_not_known(
    server: Service, top: Path
) -> None:
    assert server.studies is not None
    volume = by_name(server, "volumes/chest.nii.gz")
    first = done(server, volume.id)
    before = server.images.get(volume.id).sha256
    chest = tiny_chest(lesions=False)
    save_nifti(volume.path, chest.ct, chest.affine)
    second = done(server, volume.id)  # it has changed, and nobody has looked yet
    assert second.key != first.key
    shutil.copy(volume.path, top / "volumes" / "other.nii.gz")
    server.studies.look()
    assert by_name(server, "volumes/other.nii.gz").origin == "studies"
    assert by_name(server, "volumes/chest.nii.gz").id == volume.id
    (top / "volumes" / "other.nii.gz").unlink()
    server.studies.look()
    with pytest.raises(StopIteration):
        by_name(server, "volumes/other.nii.gz")
    assert server.images.get(volume.id).sha256 != before
    with pytest.raises(Missing):
        server.images.by_series("1.2.3")
    with pytest.raises(Missing):
        server.images.by_series("")


@pytest.mark.parametrize(
    ("code", "said"), [("E_ARCHIVE", "E_ARCHIVE: it is shut. Open it."), ("E_PATH", "E_PATH")]
)
def test_why_an_archive_shows_nothing_is_logged_but_no_words_about_files(
    code: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> None:
        raise InputError(code, "here", "it is shut.", "Open it.")

    with closing(Looking(look, "what is there")) as looking:
        assert looking.first.wait(5)
    assert caplog.messages == [f"what is there: {said}"]


def test_why_an_archive_shows_nothing_is_told_until_it_answers(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    wrong = [InputError("E_ARCHIVE", "http://here", "it does not answer.", "Start it.")] * 2
    monkeypatch.setattr(studies, "AGAIN_S", 0.05)
    asked = threading.Semaphore(0)

    def look() -> None:
        asked.acquire()
        if wrong:
            raise wrong.pop()

    with closing(Looking(look, "archive")) as looking:
        monkeypatch.setattr(service, "looking", [looking])
        assert client.get("/api/sources").json() == [
            {"origin": "archive", "looked": False, "problem": None}
        ]
        asked.release()
        assert looking.first.wait(5)
        (told,) = client.get("/api/sources").json()
        problem = told["problem"]
        assert (told["looked"], problem["code"]) == (True, "E_ARCHIVE")
        assert (problem["reason"], problem["remedy"]) == ("it does not answer.", "Start it.")
        asked.release(3)
        until = time.monotonic() + 5
        while looking.problem is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert client.get("/api/sources").json()[0]["problem"] is None
        asked.release(100)  # so that it ends
    assert [text for text in caplog.messages if text.startswith("archive")] == [
        "archive: E_ARCHIVE: it does not answer. Start it."  # of two such looks
    ]
