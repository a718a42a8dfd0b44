# SPDX-License-Identifier: Apache-2.0
"""Cases with truth out of a datalist: names that can be folders, patients, what is left out."""

import json
from pathlib import Path
from typing import Any

import pytest

from medvol.data.labelled import LabelledCase, labelled_cases
from medvol.errors import InputError


def datalist(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps({"training": rows}))
    return path


FULL = {"image": "a_ct.nii.gz", "label": "a.nii.gz", "case": "a", "patient": "p", "fold": 1}


def test_everything_that_is_said(tmp_path: Path) -> None:
    cases, left_out = labelled_cases(datalist(tmp_path, FULL))
    image, label = str(tmp_path / "a_ct.nii.gz"), str(tmp_path / "a.nii.gz")
    assert cases == [LabelledCase("a", "p", 1, image, label)]
    assert left_out == 0


def test_a_silent_datalist_names_cases_by_their_images(tmp_path: Path) -> None:
    (case,), _ = labelled_cases(datalist(tmp_path, {"image": "x/b.nii.gz", "label": "y.nii"}))
    assert (case.case, case.patient, case.fold) == ("b", "b", None)


def test_cases_without_truth_are_left_out_and_counted(tmp_path: Path) -> None:
    cases, left_out = labelled_cases(datalist(tmp_path, {"image": "c.nii"}, FULL))
    assert [case.case for case in cases] == ["a"]
    assert left_out == 1


def test_only_what_a_fold_holds_out(tmp_path: Path) -> None:
    path = datalist(tmp_path, FULL, {**FULL, "case": "b", "fold": 2})
    assert [case.case for case in labelled_cases(path, fold=2)[0]] == ["b"]
    assert len(labelled_cases(path)[0]) == 2
    with pytest.raises(ValueError, match="fold 3 leaves no validation case"):
        labelled_cases(path, fold=3)


def test_equal_names_get_a_number(tmp_path: Path) -> None:
    cases, _ = labelled_cases(datalist(tmp_path, FULL, FULL, {**FULL, "case": "a_2"}))
    assert [case.case for case in cases] == ["a", "a_2", "a_2_2"]


def test_no_truth_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        labelled_cases(datalist(tmp_path, {"image": "c.nii"}))
    assert caught.value.code == "E_EMPTY"
    assert "no truth" in caught.value.reason


@pytest.mark.parametrize("name", ["..", "../up", "a/b", "a\nb", "/root"])
def test_a_name_that_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        labelled_cases(datalist(tmp_path, {**FULL, "case": name}))
    assert caught.value.code == "E_PATH"
    assert repr(name) in caught.value.reason
