# SPDX-License-Identifier: Apache-2.0
"""The parts of a fold: nobody on both sides, paths that are found, refusals."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from medvol.data.folds import load_fold
from medvol.errors import InputError

ROWS = [
    {"image": f"{case}_ct.nii.gz", "label": f"labels/{case}.nii.gz", "case": case, "fold": fold}
    for case, fold in (("a", 0), ("b", 1), ("c", 0), ("d", 2))
]


def datalist(folder: Path, rows: Any = ROWS) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps({"training": rows}))
    return path


@pytest.mark.parametrize(
    ("fold", "train", "validation"),
    [(0, "bd", "ac"), (1, "acd", "b"), (2, "abc", "d"), (-1, "abcd", "abcd")],
)
def test_every_case_is_on_one_side(fold: int, train: str, validation: str, tmp_path: Path) -> None:
    path = datalist(tmp_path)
    for part, cases in (("train", train), ("validation", validation)):
        assert [item["case"] for item in load_fold(path, fold=fold, part=part)] == list(cases)


def test_all_cases_train_where_nothing_else_is_said(tmp_path: Path) -> None:
    assert len(load_fold(datalist(tmp_path))) == 4


def test_relative_paths_start_at_the_datalist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**ROWS[0], "label": "/elsewhere/a.nii.gz", "fold": 0}]
    datalist(tmp_path, rows)
    monkeypatch.chdir(tmp_path)
    (item,) = load_fold("datalist.json")
    assert item["image"] == str(tmp_path / "a_ct.nii.gz")
    assert item["label"] == "/elsewhere/a.nii.gz"
    assert (item["case"], item["fold"]) == ("a", 0)


def test_a_case_without_label_is_listed(tmp_path: Path) -> None:
    (item,) = load_fold(datalist(tmp_path, [{"image": "a.nii"}]))
    assert item == {"image": str(tmp_path / "a.nii")}


def test_an_epoch_can_hold_each_case_several_times(tmp_path: Path) -> None:
    items = load_fold(datalist(tmp_path), fold=0, repeat=3)
    assert [item["case"] for item in items] == ["b", "d"] * 3


def test_no_such_datalist(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_fold(tmp_path / "none.json")
    error = caught.value
    assert (error.code, error.path) == ("E_PATH", os.fspath(tmp_path / "none.json"))
    assert "medvol data" in error.remedy


def test_a_folder_is_no_datalist(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_fold(tmp_path)
    assert (caught.value.code, caught.value.path) == ("E_PATH", os.fspath(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"train": []}', '{"training": 3}', '{"training": ["a.nii"]}', "\xff"],
    ids=["empty", "cut", "list", "other key", "number", "names only", "binary"],
)
def test_other_files_are_no_datalist(text: str, tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load_fold(path)
    assert (caught.value.code, caught.value.path) == ("E_FORMAT", os.fspath(path))
    assert "list `training`" in caught.value.reason


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (ROWS, {"part": "test"}, "part is 'test'; give one of train, validation"),
        (ROWS, {"fold": 3, "part": "validation"}, "folds are [0, 1, 2]"),
        (ROWS[:1], {"fold": 0}, "fold 0 leaves no train case"),
        ([], {}, "fold -1 leaves no train case"),
        (ROWS, {"repeat": 0}, "repeat is 0; give 1 or more"),
    ],
)
def test_a_part_without_cases_is_refused(
    rows: Any, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        load_fold(datalist(tmp_path, rows), **settings)
