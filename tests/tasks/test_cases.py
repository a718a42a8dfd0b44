# SPDX-License-Identifier: Apache-2.0
"""Cases found in files and folders: names of their own, and what is said of the rest."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from brain_phantoms import save_slices, tiny_brain
from dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, write
from phantoms import save_nifti, tiny_chest

from medvol.bundle.spec import read_spec
from medvol.errors import InputError
from medvol.images.find import find_volumes
from medvol.images.image import Image, Kind
from medvol.tasks.cases import (
    AS_IT_IS,
    Case,
    Reading,
    Source,
    find_cases,
    opened,
    read_case,
    remarks_on,
)
from medvol.tasks.task import Task, task_of

CHEST = tiny_chest()


@pytest.fixture(scope="module")
def volumes() -> Task:
    return task_of(read_spec("covid_ct_lesion_3d"))


@pytest.fixture(scope="module")
def sequences() -> Task:
    return task_of(read_spec("brain_mri_tumor"))


def test_cases_that_share_a_name_get_folders_of_their_own(tmp_path: Path, volumes: Task) -> None:
    for name in ("a/ct.nii", "b/CT.nii", "b/con.mha"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cases = find_cases(volumes, [tmp_path / "a", tmp_path / "b"])
    assert [case.name for case in cases] == ["ct", "CT_2", "_con"]


def test_no_name_leads_out_of_the_folder_of_results(tmp_path: Path, volumes: Task) -> None:
    for name in ("..nii.gz", "...nii.gz", ".nii.gz"):
        (tmp_path / name).touch()
    given = [tmp_path / name for name in ("..nii.gz", "...nii.gz", ".nii.gz")]
    assert [x.name for x in find_cases(volumes, given)] == ["..nii.gz", "...nii.gz", ".nii.gz"]
    for name in ("../x", "/x", "a/../../x", "a\0b"):
        with pytest.raises(ValueError, match="or a root"):
            Case(tmp_path, name)


def test_a_line_for_each_folder_with_other_files(tmp_path: Path, volumes: Task) -> None:
    for name in ("a/ct.nii", "a/notes.txt", "b/ct.nii", "c/x.jp2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    given = [tmp_path / name for name in ("a", "b", "c", "a/ct.nii")]
    cases = find_cases(volumes, given)
    assert remarks_on(given, cases) == [
        f"{tmp_path / 'a'}: N_OTHER 1 file was passed by: 1 .txt (such as notes.txt)."
    ]
    (refused,) = [case.error for case in cases if case.error]
    assert refused.reason.endswith("1 file was passed by: 1 .jp2 (such as x.jp2).")


def test_a_folder_inside_that_cannot_be_opened_stops_nothing(
    tmp_path: Path, sequences: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies so deep that no patient is looked for in it."""
    closed = save_slices(tmp_path / "p", tiny_brain()) / "closed" / "deep"
    closed.mkdir(parents=True)
    listed = Path.iterdir

    def fail(path: Path) -> object:
        if path == closed:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", fail)
    cases = find_cases(sequences, [tmp_path])
    assert cases == [Case(tmp_path / "p", "p")]
    (line,) = remarks_on([tmp_path], cases)
    assert line.startswith(f"E_PATH {closed}: ")


def test_a_case_for_each_series_that_is_chosen(tmp_path: Path, volumes: Task) -> None:
    for number, uid in ((3, SERIES_UID), (4, OTHER_UID)):
        images = ct_series(series=uid, SeriesNumber=number, PixelSpacing=[4, 4], step=[0, 0, 8])
        write(tmp_path / "in" / "p1" / str(number), images)
    given, p1 = [tmp_path / "in"], tmp_path / "in" / "p1"
    three, four = (
        Case(p1, f"p1_series{number}", series=uid)
        for number, uid in ((3, SERIES_UID), (4, OTHER_UID))
    )
    assert find_cases(volumes, given, all_series=True) == [three, four]
    assert find_cases(volumes, given, series="4") == [replace(four, name="p1")]
    assert find_cases(volumes, given) == [Case(p1, "p1")]
    (refused,) = find_cases(volumes, given, series="5")
    assert refused.error is not None
    assert refused.error.code == "E_SERIES"
    _, image = read_case(Readers(), four, AS_IT_IS)
    assert image.facts["SeriesInstanceUID"] == OTHER_UID


def test_images_a_folder_deeper_are_found_but_no_masks(tmp_path: Path, volumes: Task) -> None:
    for name in ("P1/ct.nii.gz", "P1/ct_mask.nii.gz", "P2/ct.nii.gz", "masks/P1.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cases = find_cases(volumes, [tmp_path])
    assert [case.name for case in cases] == ["P1/ct", "P2/ct"]
    (remark,) = remarks_on([tmp_path], cases)
    assert "2 files were passed by: 2 masks (such as P1/ct_mask.nii.gz)." in remark
    (tmp_path / "ct.nii.gz").touch()  # what lies directly in the folder counts first
    assert [case.name for case in find_cases(volumes, [tmp_path])] == ["ct"]


class Readers:
    """Reads volumes as they are, whatever their values."""

    kind: Kind = "volume"
    find = staticmethod(find_volumes)

    def read(self, source: Source, reading: Reading) -> Image:
        return opened(source, self.kind, reading)


def test_files_beside_the_slices_are_no_doubt_about_them(tmp_path: Path) -> None:
    write(tmp_path / "in", ct_series(PixelSpacing=[4, 4], step=[0, 0, 8]))
    (tmp_path / "in" / "readme.txt").touch()
    image = opened(tmp_path / "in", "volume", Reading(strict=True))
    assert [note.code for note in image.notes] == ["N_OTHER"]
    path = Path(shutil.copy(save_nifti(tmp_path / "a.nii", CHEST.ct, CHEST.affine), tmp_path / "b"))
    with pytest.raises(InputError, match=r"E_VALUES .* used with a note, N_FORMAT"):
        opened(path, "volume", Reading(strict=True))
