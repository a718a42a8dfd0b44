# SPDX-License-Identifier: Apache-2.0
"""A real archive: what it lists, images out of it bit by bit, results into it."""

from pathlib import Path

import pytest
from archived import SERIES, STUDY, ct_study, give
from dicom_phantoms import write
from orthanc import Orthanc, orthanc
from pydicom import dcmread
from refusals import refused_by

from medvol.dicomweb.client import Archive
from medvol.dicomweb.credentials import Credentials
from medvol.dicomweb.found import SeriesFound, StudyFound

OTHER = "1.2.826.0.1.3680043.8.498.8"


def test_it_lists_studies_and_series(archive: Orthanc, tmp_path: Path) -> None:
    give(archive, ct_study(BodyPartExamined="CHEST"), tmp_path / "a")
    lung = ct_study(series=SERIES + ".5", slices=3, number=4, description="Lung 1.0")
    give(archive, lung, tmp_path / "b")
    give(archive, ct_study(study=OTHER, series=OTHER + ".1", StudyDate="20260131",
                           StudyDescription="Control"), tmp_path / "c")  # fmt: skip
    found = Archive(archive.address)
    assert sorted(found.studies(), key=lambda one: one.uid) == [
        StudyFound(STUDY, "19700101", "", ("CT",), 2, 11),
        StudyFound(OTHER, "20260131", "Control", ("CT",), 1, 8),
    ]
    assert [one.uid for one in found.studies({"StudyDate": "20250101-"})] == [OTHER]
    assert found.studies({"ModalitiesInStudy": "MR"}) == []
    assert sorted(found.series(STUDY), key=lambda one: one.number or 0) == [
        SeriesFound(SERIES, 1, "Chest", "CT", "CHEST", 8),
        SeriesFound(SERIES + ".5", 4, "Lung 1.0", "CT", "", 3),
    ]
    assert found.series("1.2.3") == []


def test_pages_of_fewer_results_than_there_are_give_all(
    archive: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(archive, ct_study(), tmp_path)
    monkeypatch.setattr("medvol.dicomweb.search.PAGE", 3)
    found = Archive(archive.address)._search.instances(STUDY, SERIES)
    assert sorted(one.uid for one in found) == [f"{SERIES}.{k}" for k in range(1, 9)]


def test_a_series_comes_as_it_was_given(archive: Orthanc, tmp_path: Path) -> None:
    given = give(archive, ct_study(), tmp_path / "given")
    give(archive, ct_study(series=SERIES + ".5", slices=3), tmp_path / "other")
    (tmp_path / "got").mkdir()
    heard: list[tuple[int, int]] = []
    found = Archive(archive.address).fetch(
        STUDY, SERIES, tmp_path / "got", heard=lambda *step: heard.append(step)
    )
    assert [path.name for path in found.files] == [f"{k:06d}.dcm" for k in range(1, 9)]
    assert [path.read_bytes() for path in found.files] == [path.read_bytes() for path in given]
    assert found.size_bytes == sum(path.stat().st_size for path in given)
    assert heard == [(8, 8)]
    (tmp_path / "all").mkdir()
    assert len(Archive(archive.address).fetch(STUDY, None, tmp_path / "all").files) == 11


def test_what_is_not_there_is_said(archive: Orthanc, tmp_path: Path) -> None:
    give(archive, ct_study(), tmp_path / "given")
    found = Archive(f"{archive.address}/studies/1.2.3")
    error = refused_by(lambda: found.fetch("1.2.3", None, tmp_path), "E_ARCHIVE")
    assert error.path == f"{archive.address}/studies/1.2.3"
    assert "no such study" in error.reason
    error = refused_by(lambda: found.fetch(STUDY, "1.2.3", tmp_path), "E_ARCHIVE")
    assert "no such series" in error.reason


def test_results_are_not_fetched_as_images(archive: Orthanc, tmp_path: Path) -> None:
    give(archive, ct_study(), tmp_path / "given")
    report = ct_study(series=SERIES + ".9", slices=1, Modality="SR")
    give(archive, report, tmp_path / "report")
    (tmp_path / "got").mkdir()
    found = Archive(archive.address).fetch(STUDY, None, tmp_path / "got")
    assert (len(found.files), found.passed_by) == (8, ("SR",))
    picture = ct_study(series=SERIES + ".0", slices=1, Modality="OT", Manufacturer="medvol",
                       SOPClassUID="1.2.840.10008.5.1.4.1.1.7")  # fmt: skip
    give(archive, picture, tmp_path / "picture")
    (tmp_path / "again").mkdir()
    again = Archive(archive.address).fetch(STUDY, None, tmp_path / "again")
    # also their numbers are those of before, so that nothing seems to have changed
    assert [p.name for p in again.files] == [p.name for p in found.files]
    assert [p.read_bytes() for p in again.files] == [p.read_bytes() for p in found.files]
    own = refused_by(
        lambda: Archive(archive.address).fetch(STUDY, SERIES + ".0", tmp_path), "E_ARCHIVE"
    )
    assert "nothing in it but what medvol made" in own.reason
    only = refused_by(
        lambda: Archive(archive.address).fetch(STUDY, SERIES + ".9", tmp_path), "E_ARCHIVE"
    )
    assert "only SR" in only.reason


def test_what_is_stored_is_there_once(archive: Orthanc, tmp_path: Path) -> None:
    files = write(tmp_path, ct_study(slices=2))
    for _ in range(2):
        found = Archive(archive.address).store(files)
        assert (found.stored, found.failed) == (2, {})
    assert len(archive.get("/instances")) == 2
    held = archive.get("/instances")[0]
    assert archive.get(f"/instances/{held}/simplified-tags")["SeriesDescription"] == "Chest"


def test_what_it_does_not_take_is_a_refusal(archive: Orthanc, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"nothing")
    error = refused_by(lambda: Archive(archive.address).store([broken]), "E_ARCHIVE")
    assert archive.get("/instances") == []
    assert "kept" in error.remedy or "archive" in error.remedy


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with orthanc(tmp_path / "archive", user=("medvol", "s3cret:ü")) as guarded:
        (path,) = write(tmp_path / "given", ct_study(slices=1))
        guarded.put(path)
        error = refused_by(lambda: Archive(guarded.address, Credentials()).studies(), "E_ARCHIVE")
        assert "(401 Unauthorized)" in error.reason
        assert "MEDVOL_DICOMWEB_USER" in error.remedy
        wrong = Credentials("medvol", "other")
        refused_by(lambda: Archive(guarded.address, wrong).studies(), "E_ARCHIVE")
        monkeypatch.setenv("MEDVOL_DICOMWEB_USER", "medvol")
        monkeypatch.setenv("MEDVOL_DICOMWEB_PASSWORD", "s3cret:ü")
        found = Archive(guarded.address)
        assert [one.uid for one in found.studies()] == [STUDY]
        assert dcmread(found.fetch(STUDY, SERIES, tmp_path).files[0]).SOPInstanceUID
