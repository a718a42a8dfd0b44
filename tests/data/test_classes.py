# SPDX-License-Identifier: Apache-2.0
"""Datalists of images with classes: parts, order of the classes, paths, refusals."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medvol.data.classes import class_names, load_classes, write_classes
from medvol.data.folds import load_fold
from medvol.errors import InputError

LABELS = {"0": "normal", "1": "pneumonia"}


def item(case: str, label: int) -> dict[str, Any]:
    name = LABELS[str(label)]
    return {"image": f"{name}/{case}.png", "label": label, "class": name, "case": case,
            "patient": case}  # fmt: skip


LIST: dict[str, Any] = {
    "name": "made", "labels": LABELS, "modality": {"0": "XR"},
    "training": [item("a", 1), item("b", 0), item("c", 1)],
    "validation": [item("d", 0)],
    "test": [],
}  # fmt: skip


def written(folder: Path, content: Any = LIST) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps(content))
    return path


def test_parts_have_absolute_paths_and_int_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    items = load_classes("datalist.json")
    assert [(i["case"], i["label"]) for i in items] == [("a", 1), ("b", 0), ("c", 1)]
    assert items[1]["image"] == str(tmp_path / "normal" / "b.png")
    assert [i["case"] for i in load_classes("datalist.json", part="validation")] == ["d"]


def test_cases_can_be_repeated_and_limited_for_each_class(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert [i["case"] for i in load_classes(path, limit=1, repeat=2)] == ["a", "b", "a", "b"]


def test_classes_are_named_in_the_order_of_their_labels(tmp_path: Path) -> None:
    assert class_names(written(tmp_path)) == ("normal", "pneumonia")


def test_no_further_datalist_is_no_case() -> None:
    assert load_classes(None) == []


def test_the_loader_of_folds_takes_numbers_of_classes_as_they_are(tmp_path: Path) -> None:
    assert [i["label"] for i in load_fold(written(tmp_path))] == [1, 0, 1]


def test_what_is_written_can_be_moved_with_its_images(tmp_path: Path) -> None:
    inside = {**item("a", 1), "image": str(tmp_path / "x" / "a.png")}
    outside = {**item("b", 0), "image": str(tmp_path / "elsewhere" / "b.png")}
    path = tmp_path / "x" / "datalist.json"
    write_classes(path, {**LIST, "training": [inside, outside]})
    stored = json.loads(path.read_text())
    assert [i["image"] for i in stored["training"]] == ["a.png", outside["image"]]
    assert stored["modality"] == {"0": "XR"}
    assert [i["image"] for i in load_classes(path)] == [inside["image"], outside["image"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"1": "a", "2": "b"}}, "labels are 1, 2; count them from 0"),
        ({"labels": {}}, "labels are missing"),
        ({"test": [{**item("x", 1), "label": 2}]}, "label 2 of pneumonia/x.png is none of 0 to 1"),
        ({"test": [{**item("x", 1), "label": True}]}, "label True"),
        ({"test": [{**item("x", 1), "class": "normal"}]}, "is of class 'normal' but label 1"),
        ({"test": [item("a", 1)]}, "the case 'a' is there twice"),
    ],
)
def test_contradictions_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load_classes(written(tmp_path, {**LIST, **change}))
    assert refused.value.code == "E_FORMAT"
    assert words in str(refused.value)
    with pytest.raises(ValueError, match=r"label|case"):
        write_classes(tmp_path / "new.json", {**LIST, **change})
    assert os.listdir(tmp_path) == ["datalist.json"]


@pytest.mark.parametrize("content", [[], {"labels": [1]}, {"labels": LABELS, "training": [{}]}, 3])
def test_another_form_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        class_names(written(tmp_path, content))
    assert refused.value.code == "E_FORMAT"


def test_a_datalist_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load_classes(tmp_path / "none.json")
    assert refused.value.code == "E_PATH"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"part": "train"}, "part is 'train'; give one of training, validation, test"),
        ({"repeat": 0}, "repeat is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"part": "test"}, "has no test case"),
    ],
)
def test_wrong_arguments_are_refused(wrong: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        load_classes(written(tmp_path), **wrong)
