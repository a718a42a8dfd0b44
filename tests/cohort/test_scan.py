# SPDX-License-Identifier: Apache-2.0
"""One folder of a cohort: what its files are, by their names and headers."""

import gzip
import json
import os
from pathlib import Path

from support.dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, stored_values, write

from medvol.cohort.scan import Found, list_folder, look_into


def look(folder: Path) -> Found:
    return look_into(folder.parent, folder.name, list_folder(folder))


def test_series_that_share_a_folder_are_told_apart_without_names_of_persons(tmp_path: Path) -> None:
    study = {"StudyInstanceUID": "1.2.3"}
    long = ct_series(stored_values(8), SeriesNumber=1, **study)
    short = ct_series(stored_values(3), series=OTHER_UID, SeriesNumber=2, **study)
    write(tmp_path / "a", long + short)
    found = look(tmp_path / "a")
    one, other = sorted(found.stacks, key=lambda stack: stack.length)
    assert (one.uid, one.number, one.length, one.modality) == (OTHER_UID, 2, 3, "CT")
    assert (other.uid, other.number, other.length) == (SERIES_UID, 1, 8)
    assert one.study == other.study
    assert one.images != other.images
    sizes = sum(path.stat().st_size for path in (tmp_path / "a").iterdir())
    assert one.size_bytes + other.size_bytes == sizes
    assert list(other.suits or ()) == [False, True, -2.5, False, 8]
    assert "SECRET" not in found.as_text()
    assert "1.2.3" not in found.as_text().replace(SERIES_UID, "")
    assert Found.from_text(found.as_text()).as_text() == found.as_text()


def test_overviews_screenshots_and_other_files_are_counted(tmp_path: Path) -> None:
    slices, overview = ct_series(stored_values(3)), ct_series(stored_values()[:1])
    overview[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write(tmp_path / "a", slices + overview)
    (tmp_path / "a" / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "a" / ".hidden.nii").touch()
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "a" / "ct.nii.gz").write_bytes(b"123")
    found = look(tmp_path / "a")
    assert found.others == {".pdf": 1, "localizer": 1}
    assert (found.files, found.folders) == ([("ct.nii.gz", 3)], ["b"])
    assert [stack.length for stack in found.stacks] == [3]


def test_a_damaged_file_counts_beside_slices_or_when_it_is_named_as_one(tmp_path: Path) -> None:
    for name, content in {
        "a.dcm": b"",
        "notes": b"abc",
        "b.gz": gzip.compress(b"a" * 999)[:9],
    }.items():
        (tmp_path / name).write_bytes(content)
    found = look_into(tmp_path, "", list_folder(tmp_path))
    assert found.damaged == [("a.dcm", 0)]
    assert found.others == {"of an unknown kind": 1, "file that cannot be read": 1}
    write(tmp_path, ct_series(stored_values(3)))
    found = look_into(tmp_path, "", list_folder(tmp_path))
    assert [name for name, _ in found.damaged] == ["a.dcm", "b.gz", "notes"]


def test_the_sign_changes_with_names_sizes_and_times_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(b"123")
    signs = [list_folder(tmp_path).sign]
    os.utime(path, ns=(1, 1))
    signs.append(list_folder(tmp_path).sign)
    path.write_bytes(b"1234")
    os.utime(path, ns=(1, 1))
    signs.append(list_folder(tmp_path).sign)
    (tmp_path / "b").mkdir()
    signs.append(list_folder(tmp_path).sign)
    assert len(set(signs)) == 4
    (tmp_path / ".hidden").touch()
    assert list_folder(tmp_path).sign == signs[-1]


def test_results_of_medvol_are_no_images(tmp_path: Path) -> None:
    for name in ("mask.nii.gz", "ct.nii.gz"):
        (tmp_path / name).touch()
    record = {"files": {"mask.nii.gz": ""}, "record_sha256": ""}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert [name for name, _ in list_folder(tmp_path).files] == ["ct.nii.gz"]
