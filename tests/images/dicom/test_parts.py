# SPDX-License-Identifier: Apache-2.0
"""One series is one volume wherever its files lie; folders of several cases stay several."""

from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pytest
from dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, write
from pydicom.dataset import Dataset

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.dicom.dataset import read_dataset
from medvol.images.dicom.parts import parts_of_series
from medvol.images.find import find_volumes

HU = phantoms.stored_values().transpose(2, 1, 0).astype(np.int16) - 1024
STUDY = {"StudyInstanceUID": "1.2.3"}


@pytest.mark.parametrize("way", ["halves", "turns", "link", "three"])
@pytest.mark.parametrize("uids", ["all", "no study", "no instances"])
def test_parts_of_one_series_are_one_volume(tmp_path: Path, way: str, uids: str) -> None:
    series = ct_series(**STUDY)
    for one in series:
        if uids == "no study":
            del one.StudyInstanceUID
        elif uids == "no instances":
            one.SOPInstanceUID = ""
    folder = tmp_path / "chest"
    first, second = (series[::2], series[1::2]) if way == "turns" else (series[:5], series[5:])
    write(folder / "DIR001", first)
    write(folder / "DIR002", second[:2] if way == "three" else second)
    if way == "three":
        write(folder / "DIR003", second[2:])
    if way == "link":
        (folder / "DIR002").rename(tmp_path / "elsewhere")
        (folder / "DIR002").symlink_to(tmp_path / "elsewhere")

    assert find_volumes(folder) == [folder]
    np.testing.assert_array_equal(read_image(folder).array, HU)
    assert find_volumes(tmp_path) == (
        [folder, tmp_path / "elsewhere"] if way == "link" else [folder]
    )


def test_folders_of_several_series_studies_or_copies_are_cases_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "a" / "lung", ct_series(**STUDY))
    write(tmp_path / "b" / "DIR1", ct_series(series=OTHER_UID, **STUDY))
    write(tmp_path / "c", ct_series(series="1.9", StudyInstanceUID="1.2.4"))
    (tmp_path / "d").symlink_to(tmp_path / "c")
    (tmp_path / "e").mkdir()
    whole = [tmp_path / name for name in "abcd"]
    assert find_volumes(tmp_path) == whole
    for path in sorted((tmp_path / "c").iterdir())[:3]:
        (tmp_path / "e" / path.name).write_bytes(path.read_bytes())
    assert find_volumes(tmp_path) == [*whole, tmp_path / "e"]


@pytest.mark.parametrize(
    "other",
    [{"PatientID": "other"}, {"FrameOfReferenceUID": "1.5"}, {"StudyInstanceUID": "1.2.9"}, {}],
    ids=["patient", "frame", "study", "same places"],
)
def test_scans_that_share_a_uid_by_mistake_stay_cases(
    tmp_path: Path, other: dict[str, str]
) -> None:
    write(tmp_path / "P1", ct_series(**STUDY))
    series = ct_series(phantoms.stored_values() + 1, **{**STUDY, **other})
    for one in series if other else []:
        one.ImagePositionPatient[2] += 1.25
    write(tmp_path / "P2", series)
    assert find_volumes(tmp_path) == [tmp_path / "P1", tmp_path / "P2"]


def test_parts_beside_other_images_are_refused(tmp_path: Path) -> None:
    series = ct_series(**STUDY)
    write(tmp_path / "DIR001", series[:5])
    write(tmp_path / "DIR002", [*series[5:], *ct_series(series=OTHER_UID, **STUDY)])
    assert find_volumes(tmp_path) == [tmp_path]  # whose reading lists both series
    with pytest.raises(InputError, match=rf"2 series: {SERIES_UID} .*; {OTHER_UID} "):
        read_image(tmp_path)
    write(tmp_path / "other", ct_series(series="1.9"))
    with pytest.raises(InputError) as caught:
        find_volumes(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_SERIES", str(tmp_path))
    assert "its folders DIR001, DIR002 hold parts of one series" in caught.value.reason


def test_headers_of_many_patients_are_not_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(path: Path, **options: Any) -> Dataset:
        read.append(path)
        return read_dataset(path, **options)

    monkeypatch.setattr("medvol.images.dicom.parts.read_dataset", counted)
    for patient in range(3):
        uids = {"series": f"1.{patient}", "StudyInstanceUID": f"2.{patient}"}
        write(tmp_path / f"P{patient}", ct_series(**uids))
    assert parts_of_series(sorted(tmp_path.iterdir())) == []
    assert len(read) == 6  # the first and the last of each


def test_a_damaged_file_is_passed_over_here_and_refused_by_its_name_later(tmp_path: Path) -> None:
    series = ct_series(**STUDY)
    write(tmp_path / "DIR001", series[:5])
    last = write(tmp_path / "DIR002", series[5:])[-1]
    last.write_bytes(last.read_bytes()[:140])
    assert find_volumes(tmp_path) == [tmp_path]
    with pytest.raises(InputError) as caught:
        read_image(tmp_path)
    assert caught.value.path == str(last)


def test_a_folder_of_nothing_but_web_pages_is_no_lost_case(tmp_path: Path) -> None:
    for path in write(tmp_path / "P1", ct_series()):
        path.write_bytes(b"<!DOCTYPE html>")
    write(tmp_path / "P2", ct_series())
    assert find_volumes(tmp_path) == [tmp_path / "P1", tmp_path / "P2"]
    assert find_volumes(tmp_path / "P1") == [tmp_path / "P1"]
    with pytest.raises(
        InputError, match=r"E_FORMAT .*IM000\.dcm: it is a web page, though its name"
    ):
        read_image(tmp_path / "P1")
