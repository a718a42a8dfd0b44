# SPDX-License-Identifier: Apache-2.0
"""Names of one patient's files: numbers without gaps, and one patient."""

import os
from pathlib import Path

import pytest
from refusals import refused_by

from medvol.images.numbering import check_numbers, check_one_patient
from medvol.images.slice_images import find_slices

DATA = os.environ.get("MEDVOL_TEST_DATA")
FOLDER = Path("patient")


def called(*names: str) -> list[Path]:
    return [FOLDER / f"{name}.png" for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ["p_1", "p_2", "p_3"],
        ["p_7", "p_8", "p_9", "p_10"],
        ["p1_000_rgb", "p1_001_rgb"],
        ["009", "010", "011"],
        ["slice12t1", "slice13t1"],
        ["a1_1", "a2_1", "a3_1"],
        ["anything at all"],
        ["20021130"],
        [],
    ],
)
def test_one_stack_from_any_number_on(names: list[str]) -> None:
    check_numbers(FOLDER, called(*names))


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([*range(1, 8), *range(13, 20)], "from 1 to 19, these slices are missing: 8 to 12."),
        ([7, 13], "from 7 to 13, these slices are missing: 8 to 12."),
        ([1, 2, 4], "from 1 to 4, these slices are missing: 3."),
        ([1, 3, 5, 7, 9, 11], "missing: 2, 4, 6, 8 and 1 more."),
        ([1, 20291231235959], "missing: 2 to 20291231235958."),
    ],
)
def test_numbers_that_miss_are_refused(numbers: list[int], missing: str) -> None:
    pictures = called(*(f"case_{number}" for number in numbers))
    error = refused_by(lambda: check_numbers(FOLDER, pictures), "E_SERIES")
    assert (error.path, error.reason.endswith(missing)) == ("patient", True), error.reason


@pytest.mark.parametrize(
    ("names", "both"),
    [
        (["p1_1", "p1_2", "p2_1", "p2_2", "p2_3"], "p1_... (2), p2_... (3)."),
        (["anna_1", "anna_2", "berta_3"], "anna_... (2), berta_... (1)."),
        (["a", "b"], "a... (1), b... (1)."),
        (["p_1", "p_2b"], "p_... (2)."),
    ],
)
def test_names_of_two_patients_are_refused(names: list[str], both: str) -> None:
    error = refused_by(lambda: check_numbers(FOLDER, called(*names)), "E_SERIES")
    assert both in error.reason
    assert "folder of their own" in error.remedy


@pytest.mark.parametrize("other", ["p_01", "p_1"])
def test_doubles_are_refused(other: str) -> None:
    pictures = [*called("p_1", "p_2"), FOLDER / f"{other}.tif"]
    error = refused_by(lambda: check_numbers(FOLDER, pictures), "E_SERIES")
    assert error.reason == f"p_1.png and {other}.tif both look like one slice."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sub-01", "sub-02"),
        ("p1", "p2"),
        ("tcga fg 6692 20020606", "tcga fg 6700 20020606"),
        ("brats20 training 001", "brats20 training 002"),
    ],
)
def test_files_of_two_patients_are_refused(one: str, other: str) -> None:
    words = {"x.nii": one.replace("-", " ").split(), "y.nii": other.replace("-", " ").split()}
    error = refused_by(lambda: check_one_patient(FOLDER, words), "E_SERIES")
    assert error.reason == "x.nii and y.nii name two patients."
    check_one_patient(FOLDER, {"x.nii": words["x.nii"], "y.nii": words["x.nii"]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 ax", "5 sag"),
        ("series 3", "series 5"),
        ("se000003", "se000005"),
        ("6692 20020606 3", "6692 20020606 5"),
        ("", "6692"),
        ("anna ax", "anna sag"),
    ],
)
def test_series_of_one_patient_may_differ(one: str, other: str) -> None:
    check_one_patient(FOLDER, {"x.nii": one.split(), "y.nii": other.split()})


@pytest.mark.skipif(not DATA, reason="MEDVOL_TEST_DATA names no folder")
def test_the_99_real_examinations_are_numbered_without_gaps() -> None:
    folders = [path for path in (Path(str(DATA)) / "mri_lgg").iterdir() if path.is_dir()]
    counts = []
    for folder in folders:
        pictures = find_slices(folder)
        check_numbers(folder, pictures)
        counts.append(len(pictures))
    assert (len(counts), sum(counts)) == (99, 3561)
