# SPDX-License-Identifier: Apache-2.0
"""Series are chosen of each patient and study, wherever their files lie."""

import shutil
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import pytest
from dicom_phantoms import OTHER_UID, SERIES_UID
from phantoms import save_nifti, tiny_chest

from medvol.images.series import choose, series_at

LUNG: dict[str, Any] = {"SeriesNumber": 3, "SeriesDescription": "Lung"}
SOFT: dict[str, Any] = {"SeriesNumber": 4, "SeriesDescription": "Soft"}


def write(folder: Path, patient: str, *series: tuple[str, dict[str, Any]]) -> Path:
    """A study of a patient with some series, a folder each."""
    who = {"PatientID": patient, "StudyInstanceUID": f"1.9.{len(patient)}"}
    for uid, what in series:
        images = phantoms.ct_series(phantoms.stored_values(3), series=uid, **who, **what)
        phantoms.write(folder / f"{what['SeriesNumber']}{uid[4:]}", images)
    return folder


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    write(tmp_path / "p1", "a", ("1.1", LUNG), ("1.2", SOFT))
    write(tmp_path / "p2", "bb", ("1.3", LUNG))
    return tmp_path


def found(start: Path, places: list[Path], wanted: str | None) -> list[tuple[str, str, bool]]:
    chosen = choose(start, places, wanted)
    return [
        (one.path.name, one.error.code if one.error else one.series.uid if one.series else "",
         one.alone)
        for one in chosen
    ]  # fmt: skip


def test_each_patient_gives_the_series_that_is_meant(studies: Path) -> None:
    places = [studies / "p1", studies / "p2"]
    assert found(studies, places, "3") == [("p1", "1.1", True), ("p2", "1.3", True)]
    assert found(studies, places, "lung") == [("p1", "1.1", True), ("p2", "1.3", True)]
    assert found(studies, places, "4") == [("p1", "1.2", True), ("p2", "E_SERIES", True)]
    assert found(studies, places, "1.3") == [("p2", "1.3", True)]  # a UID is of one study alone
    assert found(studies, places, None) == [
        ("p1", "1.1", False), ("p1", "1.2", False), ("p2", "1.3", True)
    ]  # fmt: skip


def test_a_study_may_lie_in_a_folder_for_each_series(studies: Path) -> None:
    places = [studies / "p1" / "3", studies / "p1" / "4"]
    assert found(studies / "p1", places, "4") == [("4", "1.2", True)]
    assert found(studies / "p1", places, "9") == [("3", "E_SERIES", True)]


def test_two_patients_in_one_folder(studies: Path) -> None:
    assert found(studies, [studies], "3") == [
        (studies.name, "1.1", False), (studies.name, "1.3", False)
    ]  # fmt: skip


def test_two_of_a_study_are_not_one(tmp_path: Path) -> None:
    write(tmp_path, "a", (SERIES_UID, LUNG), (OTHER_UID, LUNG))
    (one,) = choose(tmp_path, [tmp_path], "3")
    assert one.error is not None
    assert one.error.reason.startswith(f"it holds 2 series '3': {SERIES_UID} \"Lung\"")


def test_archives_and_other_formats_beside_a_damaged_study(studies: Path) -> None:
    chest = tiny_chest()
    ct = save_nifti(studies / "ct.nii.gz", chest.ct, chest.affine)
    archive = Path(shutil.make_archive(str(studies / "p3"), "zip", studies / "p1"))
    next((studies / "p2").rglob("*.dcm")).write_bytes(b"")
    places = [archive, ct, studies / "p2"]
    assert found(studies, places, "3") == [
        ("p3.zip", "1.1", True), ("ct.nii.gz", "", True), ("p2", "E_EMPTY", True)
    ]  # fmt: skip
    assert series_at(ct) == []
