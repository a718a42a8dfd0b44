# SPDX-License-Identifier: Apache-2.0
"""What lies in a DICOM folder is sorted into series, and what is no slice is left out."""

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import dicom_phantoms as phantoms
import numpy as np
import pytest
from dicom_phantoms import SHIPPED, refusal, world
from pydicom.uid import (
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from medvol.images.dicom.series import read_study
from medvol.images.dicom.volume import load_dicom


def test_what_is_no_slice_is_left_out(tmp_path: Path) -> None:
    image = phantoms.stored_values()[0]
    phantoms.write(tmp_path / "slices" / "deeper", phantoms.ct_series())
    extras = [
        phantoms.ct_slice(image, (0, 0, 0), series="1.9",
                          SOPClassUID=SegmentationStorage, Modality="SEG"),
        phantoms.ct_slice(image, (0, 0, 0), series="1.8", ImageType=["ORIGINAL", "", "LOCALIZER"]),
        phantoms.ct_slice(image, (0, 0, 0), series="1.7", SOPClassUID=SecondaryCaptureImageStorage,
                          ImagePositionPatient=None),
    ]  # fmt: skip
    phantoms.write(tmp_path, extras)
    (tmp_path / "readme.txt").write_text("not DICOM")
    (tmp_path / "._IM000.dcm").write_bytes(b"")

    result = load_dicom(tmp_path)

    assert result.array.shape == (16, 16, 8)
    assert [str(note) for note in result.notes] == [
        "N_LOCALIZER 1 localizer image was left out.",
        "N_OTHER 3 files were passed by: 1 .txt, 1 SEG, 1 screenshot.",
    ]
    assert result.facts["left_out"] == {"SEG": 1, "localizer": 1, "screenshot": 1, ".txt": 1}


HU = phantoms.stored_values().transpose(2, 1, 0).astype(np.int16) - 1024
ODD_NAMES = ("IM_0007", "CT.1.2.840.7", "IM_0007.bin", "slice7.xyz", "7")


@pytest.mark.parametrize("name", [*ODD_NAMES, "IM007.dcm", "IM007.dcm.gz", "IM007.gz"])
@pytest.mark.parametrize("way", ["whole", "bare", "packed", "packed-bare"])
def test_the_last_slice_counts_however_it_is_called_and_written(
    tmp_path: Path, name: str, way: str
) -> None:
    last = phantoms.write(tmp_path, phantoms.ct_series())[-1]
    content = last.read_bytes()[132 if "bare" in way else 0 :]
    last.unlink()
    (tmp_path / name).write_bytes(gzip.compress(content) if "packed" in way else content)

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    assert image.notes == ()
    assert world(image, (0, 0, 7)) == [20.0, 30.0, 117.5]  # z = 100 + 7 * 2.5


@pytest.mark.parametrize("name", [*ODD_NAMES, "IM007.dcm", "IM007.dcm.gz"])
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"<!DOCTYPE html><html>404</html>" * 20, "E_FORMAT", "it is a web page, though it"),
        (b"Access denied", "E_FORMAT", "it is not a DICOM file, though it"),
        (gzip.compress(b"<html>" * 50, mtime=0), "E_FORMAT", "it is a web page, though it"),
    ],
    ids=["html", "text", "packed-html"],
)
def test_what_lies_in_the_place_of_the_last_slice_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, code: str, words: str
) -> None:
    phantoms.write(tmp_path, phantoms.ct_series())[-1].unlink()
    (tmp_path / name).write_bytes(content)
    if name == "IM_0007.bin":  # a kind that is known not to be a slice, unless slices are called so
        assert load_dicom(tmp_path).facts.get("left_out") == {".bin": 1}
        (tmp_path / "IM000.dcm").rename(tmp_path / "IM_0000.bin")

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == (code, name)
    assert words in error.reason


def test_a_readme_may_lie_beside_slices_without_suffix(tmp_path: Path) -> None:
    for k, path in enumerate(phantoms.write(tmp_path, phantoms.ct_series())):
        path.rename(tmp_path / f"IM{k}")
    (tmp_path / "README").write_text("words")

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    assert image.facts["left_out"] == {"README": 1}


def test_a_packed_slice_that_is_cut_or_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = phantoms.write(tmp_path, phantoms.ct_series())[-1]
    packed = gzip.compress(last.read_bytes())
    last.write_bytes(packed[:-9])
    assert (refusal(tmp_path).code, refusal(tmp_path).path) == ("E_TRUNCATED", str(last))
    last.write_bytes(packed)
    monkeypatch.setattr("medvol.images.dicom.dataset.MAX_INFLATED_BYTES", 1 << 20)
    assert load_dicom(tmp_path).array.shape == (16, 16, 8)
    last.write_bytes(gzip.compress(gzip.decompress(packed) + bytes(1 << 20)))
    assert (refusal(tmp_path).code, refusal(tmp_path).path) == ("E_TOO_BIG", str(last))


def test_a_series_is_chosen_by_its_uid(tmp_path: Path) -> None:
    phantoms.write(tmp_path / "a", phantoms.ct_series(phantoms.stored_values(5)))
    phantoms.write(
        tmp_path / "b",
        phantoms.ct_series(series=phantoms.OTHER_UID, Modality="MR", RescaleIntercept=0),
    )

    error = refusal(tmp_path)
    assert error.code == "E_SERIES"
    words = "5 images of 16 x 16, 2.5 mm apart, B70f)"
    assert f'{phantoms.SERIES_UID} "Chest" (CT, {words}' in error.reason
    assert f'{phantoms.OTHER_UID} "Chest" (MR, {words.replace("5 im", "8 im")}' in error.reason
    assert f"--series, such as {phantoms.SERIES_UID} (axial, 5 slices 2.5 mm" in error.remedy
    assert [(uid, len(slices)) for uid, slices in read_study(tmp_path).series.items()] == [
        (phantoms.OTHER_UID, 8),
        (phantoms.SERIES_UID, 5),
    ]
    assert load_dicom(tmp_path, series=phantoms.SERIES_UID).array.shape == (16, 16, 5)
    unknown = refusal(tmp_path, series="1.2.3")
    assert unknown.code == "E_SERIES"
    assert "no series '1.2.3'" in unknown.reason
    assert phantoms.OTHER_UID in unknown.reason


def test_a_copy_of_a_slice_is_used_once(tmp_path: Path) -> None:
    first = phantoms.write(tmp_path, phantoms.ct_series())[0]
    shutil.copy(first, tmp_path / "copy.dcm")

    image = load_dicom(tmp_path)

    assert image.array.shape == (16, 16, 8)
    assert image.facts["left_out"] == {"duplicate": 1}


@pytest.mark.parametrize(("count", "more"), [(20, ""), (22, "; and 2 more")])
def test_series_are_listed_up_to_twenty(tmp_path: Path, count: int, more: str) -> None:
    image = phantoms.stored_values()[0]
    phantoms.write(
        tmp_path, [phantoms.ct_slice(image, (0, 0, 0), series=f"1.{k}") for k in range(count)]
    )
    words = str(read_study(tmp_path))
    assert words.count("1 image of 16 x 16") == 20
    assert words.endswith(f"B70f){more}")


@pytest.mark.parametrize("count", [1, 5], ids=["one", "some"])
def test_a_copy_with_a_new_uid_is_used_once(tmp_path: Path, count: int) -> None:
    copies = phantoms.ct_series()[:count]
    paths = phantoms.write(tmp_path, [*copies, *phantoms.ct_series()])

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    assert image.facts["left_out"] == {"duplicate": count}
    words = (
        "1 file was passed by: 1 duplicate"
        if count == 1
        else "5 files were passed by: 5 duplicates"
    )
    assert str(image.notes[0]) == f"N_OTHER {words}."
    copies[0].RescaleIntercept = -1000  # the same pixels, but other values
    copies[0].save_as(paths[0])
    assert "are different images of one place" in refusal(tmp_path).reason


def test_a_copy_of_an_enhanced_ct_is_used_once(tmp_path: Path) -> None:
    phantoms.write(tmp_path, [phantoms.enhanced_ct(), phantoms.enhanced_ct()])
    image = load_dicom(tmp_path)
    np.testing.assert_array_equal(image.array, HU)
    assert image.facts["left_out"] == {"duplicate": 1}


@pytest.mark.parametrize("shared", [2, 8], ids=["two", "all"])
@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_files_of_one_uid_that_differ_are_refused(tmp_path: Path, shared: int, place: str) -> None:
    series = phantoms.ct_series()
    for one in series[:shared]:
        one.SOPInstanceUID = series[0].SOPInstanceUID
        if place == "here":
            one.ImagePositionPatient = series[0].ImagePositionPatient
    phantoms.write(tmp_path, series)

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == ("E_SERIES", "IM001.dcm")
    assert error.reason == (
        f"{shared} files of the series have one SOPInstanceUID, this and IM000.dcm among them, but "
        "differ in place or pixels."
    )


def test_slices_without_any_uid_are_one_volume(tmp_path: Path) -> None:
    series = phantoms.ct_series(series="")
    for one in series:
        one.SOPInstanceUID = one.SOPClassUID = ""
    phantoms.write(tmp_path, series)
    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


@pytest.mark.parametrize(
    ("files", "code"),
    [((), "E_EMPTY"), (("notes.txt", "DIRFILE"), "E_FORMAT")],
    ids=["empty-folder", "no-dicom"],
)
def test_a_folder_without_dicom_is_refused(tmp_path: Path, files: Sequence[str], code: str) -> None:
    for name in files:
        (tmp_path / name).write_text("words")

    assert (refusal(tmp_path).code, refusal(tmp_path).path) == (code, str(tmp_path))


@pytest.mark.parametrize("content", ["cut", "words", "whole"])
def test_a_dicomdir_is_passed_by_however_broken_it_is(tmp_path: Path, content: str) -> None:
    first = phantoms.write(tmp_path / "IMG", phantoms.ct_series())[0].read_bytes()
    (tmp_path / "DICOMDIR").write_bytes(
        {"cut": first[:200], "words": b"words", "whole": first}[content]
    )
    image = load_dicom(tmp_path)
    np.testing.assert_array_equal(image.array, HU)
    assert [str(note) for note in image.notes] == ["N_OTHER 1 file was passed by: 1 DICOMDIR."]


def test_a_missing_folder_and_a_crowded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(tmp_path / "gone").code == "E_PATH"
    phantoms.write(tmp_path, phantoms.ct_series())
    monkeypatch.setattr("medvol.images.dicom.series.MAX_FILES", 7)
    assert refusal(tmp_path).code == "E_TOO_BIG"


def test_localizers_shipped_with_pydicom_are_dropped() -> None:
    image = load_dicom(SHIPPED / "98892001")  # CT5N and CT2N

    assert image.array.shape == (16, 16, 5)
    assert str(image.notes[0]) == "N_LOCALIZER 2 localizer images were left out."
    assert refusal(SHIPPED / "98892001" / "CT2N").code == "E_DIMS"
