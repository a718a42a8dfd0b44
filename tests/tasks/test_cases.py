# SPDX-License-Identifier: Apache-2.0
"""Cases found in files and folders: names of their own, and what is said of the rest."""

import errno
import os
from pathlib import Path

import pytest
from brain_phantoms import save_slices, tiny_brain

from medvol.bundle.spec import read_spec
from medvol.tasks.cases import Case, find_cases, remarks_on
from medvol.tasks.task import Task, task_of


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
