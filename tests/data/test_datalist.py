# SPDX-License-Identifier: Apache-2.0
"""The datalist: parts and folds with nobody on both sides, classes, paths, truth, refusals."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from monai.data import load_decathlon_datalist

from medvol.data.datalist import Datalist, LabelledCase
from medvol.data.items import load_items
from medvol.errors import InputError

ROWS = [
    {"image": f"{case}_ct.nii.gz", "label": f"labels/{case}.nii.gz", "case": case, "fold": fold}
    for case, fold in (("a", 0), ("b", 1), ("c", 0), ("d", 2))
]
FULL = {"image": "a_ct.nii.gz", "label": "a.nii.gz", "case": "a", "patient": "p", "fold": 1}
LABELS = {"0": "normal", "1": "pneumonia"}


def item(case: str, label: int) -> dict[str, Any]:
    name = LABELS[str(label)]
    return {"image": f"{name}/{case}.png", "label": label, "class": name, "case": case,
            "patient": case}  # fmt: skip


CLASSES: dict[str, Any] = {
    "name": "made", "labels": LABELS, "modality": {"0": "XR"},
    "training": [item("a", 1), item("b", 0), item("c", 1)],
    "validation": [item("d", 0)],
    "test": [],
}  # fmt: skip


def written(folder: Path, content: Any) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps(content))
    return path


def volumes(folder: Path, *rows: dict[str, Any]) -> Path:
    return written(folder, {"training": rows or ROWS})


def cases(items: list[dict[str, Any]]) -> str:
    return "".join(item["case"] for item in items)


@pytest.mark.parametrize(
    ("fold", "train", "validation"),
    [(0, "bd", "ac"), (1, "acd", "b"), (2, "abc", "d"), (-1, "abcd", "abcd")],
)
def test_every_case_is_on_one_side(fold: int, train: str, validation: str, tmp_path: Path) -> None:
    path = volumes(tmp_path)
    for part, expected in (("training", train), ("validation", validation)):
        assert cases(load_items(path, fold=fold, part=part)) == expected


def test_all_cases_train_where_nothing_else_is_said(tmp_path: Path) -> None:
    assert cases(load_items(volumes(tmp_path))) == "abcd"


def test_validation_of_the_list_serves_where_no_fold_is_held_out(tmp_path: Path) -> None:
    path = written(tmp_path, {"training": ROWS[:2], "validation": ROWS[2:]})
    assert cases(load_items(path, fold=-1)) == "ab"
    assert cases(load_items(path, fold=-1, part="validation")) == "cd"
    assert cases(load_items(path, fold=0, part="validation")) == "a"


def test_relative_paths_start_at_the_datalist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes(tmp_path, {**ROWS[0], "label": "/elsewhere/a.nii.gz", "fold": 0})
    monkeypatch.chdir(tmp_path)
    (found,) = load_items("datalist.json")
    assert found["image"] == str(tmp_path / "a_ct.nii.gz")
    assert found["label"] == "/elsewhere/a.nii.gz"
    assert (found["case"], found["fold"]) == ("a", 0)


def test_a_case_without_label_is_listed(tmp_path: Path) -> None:
    assert load_items(volumes(tmp_path, {"image": "a.nii"})) == [{"image": f"{tmp_path}/a.nii"}]


def test_test_images_of_the_decathlon_have_no_truth(tmp_path: Path) -> None:
    path = written(tmp_path, {"training": ROWS, "test": ["./imagesTs/x.nii.gz"]})
    assert load_items(path, part="test") == [{"image": f"{tmp_path}/imagesTs/x.nii.gz"}]


def test_cases_can_be_repeated_and_limited(tmp_path: Path) -> None:
    assert cases(load_items(volumes(tmp_path), fold=0, repeat=3)) == "bdbdbd"
    assert cases(load_items(volumes(tmp_path), limit=2)) == "ab"
    assert cases(load_items(written(tmp_path, CLASSES), limit=1, repeat=2)) == "abab"


def test_items_are_copies(tmp_path: Path) -> None:
    datalist = Datalist.read(volumes(tmp_path))
    datalist.items()[0]["case"] = "changed"
    assert datalist.items()[0]["case"] == "a"


def test_no_further_datalist_is_no_case() -> None:
    assert load_items(None) == []


def test_classes_are_named_in_the_order_of_their_labels(tmp_path: Path) -> None:
    datalist = Datalist.read(written(tmp_path, CLASSES))
    assert datalist.class_names == ("normal", "pneumonia")
    assert [(i["case"], i["label"]) for i in datalist.items()] == [("a", 1), ("b", 0), ("c", 1)]
    assert cases(datalist.items("validation")) == "d"
    assert datalist.about == {key: CLASSES[key] for key in ("name", "labels", "modality")}


@pytest.mark.parametrize(
    "content",
    [
        {"training": ROWS},
        {"labels": {"0": "background", "1": "lesion"}, "training": ROWS},
        {"labels": LABELS, "training": [{"image": "a.png"}]},
        {"training": []},
        {"labels": {"1": "a", "2": "b"}, "training": []},
    ],
    ids=["no labels", "label maps", "unlabelled", "empty", "from 1"],
)
def test_a_list_without_classes_is_refused_where_they_are_wanted(
    content: Any, tmp_path: Path
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match="not a datalist of images with classes") as refused:
        _ = Datalist.read(path).class_names
    assert (refused.value.code, refused.value.path) == ("E_FORMAT", os.fspath(path))


def test_what_is_written_can_be_moved_with_its_images(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "x", f"{tmp_path}/elsewhere/b.png"
    link = folder / "link.png"
    folder.mkdir()
    link.symlink_to(elsewhere)
    images = [f"{folder}/a.png", elsewhere, str(link)]
    items = [{**item(case, 1), "image": image} for case, image in zip("abc", images, strict=True)]
    Datalist({**CLASSES, "training": items}).write(folder / "datalist.json")
    stored = json.loads((folder / "datalist.json").read_text())
    assert [i["image"] for i in stored["training"]] == ["a.png", elsewhere, "link.png"]
    assert stored["modality"] == {"0": "XR"}
    assert [i["image"] for i in load_items(folder / "datalist.json")] == images
    Datalist({**CLASSES, "training": items}).write(folder / "new.json", folder=tmp_path)
    moved = json.loads((folder / "new.json").read_text())["training"]
    assert [i["image"] for i in moved] == ["a.png", "elsewhere/b.png", "link.png"]


def test_monai_finds_the_files_of_a_written_list(tmp_path: Path) -> None:
    inside, outside = tmp_path / "out", tmp_path / "elsewhere"
    rows = [
        {"image": str(folder / "ct.nii.gz"), "label": str(folder / "mask.nii.gz"), "fold": 0}
        for folder in (inside, outside)
    ]
    Datalist({"training": rows}).write(inside / "datalist.json")
    assert load_decathlon_datalist(inside / "datalist.json", base_dir=inside) == rows


def test_everything_that_is_said_of_a_labelled_case(tmp_path: Path) -> None:
    found, left_out = Datalist.read(volumes(tmp_path, FULL)).labelled()
    image, label = str(tmp_path / "a_ct.nii.gz"), str(tmp_path / "a.nii.gz")
    assert found == [LabelledCase("a", "p", 1, image, label, {})]
    assert left_out == 0


def test_the_groups_that_figures_are_divided_by(tmp_path: Path) -> None:
    said = {"source": "Radiopaedia", "scanner": 16, "site": None, "view": "axial"}
    (case,), _ = Datalist.read(volumes(tmp_path, {**FULL, **said})).labelled()
    assert case.groups == {"source": "Radiopaedia", "scanner": "16"}


def test_a_silent_datalist_names_cases_by_their_images(tmp_path: Path) -> None:
    rows = {"image": "x/b.nii.gz", "label": "y.nii"}
    (case,), _ = Datalist.read(volumes(tmp_path, rows)).labelled()
    assert (case.case, case.patient, case.fold) == ("b", "b", None)


def test_cases_without_a_label_map_are_left_out_and_counted(tmp_path: Path) -> None:
    content = {"labels": LABELS, "training": [{"image": "c.nii"}, FULL, item("x", 1)]}
    found, left_out = Datalist.read(written(tmp_path, content)).labelled()
    assert [case.case for case in found] == ["a"]
    assert left_out == 2


def test_only_what_a_fold_holds_out(tmp_path: Path) -> None:
    path = volumes(tmp_path, FULL, {**FULL, "case": "b", "patient": "q", "fold": 0})
    datalist = Datalist.read(path)
    assert [case.case for case in datalist.labelled(fold=0)[0]] == ["b"]
    assert [case.case for case in datalist.labelled(fold=1)[0]] == ["a"]
    assert len(datalist.labelled()[0]) == 2
    with pytest.raises(ValueError, match=re.escape(f"fold 3 leaves no validation case in {path};")):
        datalist.labelled(fold=3)


def test_equal_names_get_a_number(tmp_path: Path) -> None:
    datalist = Datalist.read(volumes(tmp_path, FULL, FULL, {**FULL, "case": "a_2"}))
    assert [case.case for case in datalist.labelled()[0]] == ["a", "a_2", "a_2_2"]


def test_no_truth_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Datalist.read(volumes(tmp_path, {"image": "c.nii"})).labelled()
    assert caught.value.code == "E_EMPTY"
    assert "no truth" in caught.value.reason


@pytest.mark.parametrize("name", ["..", "../up", "a/b", "a\nb", "/root"])
def test_a_name_that_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        Datalist.read(volumes(tmp_path, {**FULL, "case": name})).labelled()
    assert caught.value.code == "E_PATH"
    assert repr(name) in caught.value.reason


def test_a_byte_order_mark_is_passed_by(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": ROWS}), encoding="utf-8-sig")
    assert cases(load_items(path)) == "abcd"


@pytest.mark.parametrize("name", ["none.json", "."])
def test_no_such_datalist(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_items(tmp_path / name)
    error = caught.value
    assert (error.code, error.path) == ("E_PATH", os.fspath(tmp_path / name))
    assert "medvol data" in error.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"], ids=["empty", "cut", "list", "binary"])
def test_other_files_are_not_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="this datalist is not") as caught:
        load_items(path)
    assert (caught.value.code, caught.value.path) == ("E_FORMAT", os.fspath(path))


@pytest.mark.parametrize(
    "text",
    [
        '{"train": []}', '{"training": 3}', '{"training": ["a.nii"]}',
        '{"training": [{"image": "a.nii", "label": 1.5}]}', '{"training": [{"label": "a.nii"}]}',
        '{"labels": [1], "training": []}', '{"labels": {"a": 1}, "training": []}',
        '{"training": [{"image": "a.nii", "fold": "0"}]}',
        '{"training": [{"image": "a.nii", "fold": true}]}',
        '{"labels": {"0": "a"}, "training": [{"image": "a.png", "label": 0, "class": 0}]}',
        '{"labels": {"0": 1}, "training": [{"image": "a.png", "label": 0}]}',
    ],
    ids=[
        "other key", "number", "names only", "odd label", "no image", "list of labels",
        "labels by name", "fold in quotes", "fold that is true", "class by number",
        "name that is a number",
    ],
)  # fmt: skip
def test_other_files_are_not_a_datalist(text: str, tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_items(path)
    assert (caught.value.code, caught.value.path) == ("E_FORMAT", os.fspath(path))
    assert "list `training`" in caught.value.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"1": "a", "2": "b"}}, "labels are 1, 2; count them from 0"),
        ({"labels": {}}, "labels are missing"),
        ({"test": [{**item("x", 1), "label": 2}]}, "2 of pneumonia/x.png is not one of 0 to 1"),
        ({"test": [{**item("x", 1), "label": True}]}, "label True"),
        ({"test": [{**item("x", 1), "class": "normal"}]}, "is of class 'normal' but label 1"),
        ({"test": [item("a", 1)]}, "the case 'a' is there twice"),
    ],
)
def test_contradictions_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Datalist({**CLASSES, **change})
    with pytest.raises(InputError) as refused:
        load_items(written(tmp_path, {**CLASSES, **change}))
    assert refused.value.code == "E_FORMAT"


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (ROWS, {"part": "train"}, "part is 'train'; give one of training, validation, test"),
        (ROWS, {"part": "test"}, "has no test case"),
        (ROWS, {"part": "validation"}, "has no validation case"),
        (ROWS, {"fold": 3, "part": "validation"}, "folds are [0, 1, 2]"),
        (ROWS[:1], {"fold": 0}, "fold 0 leaves no training case"),
        ([*ROWS, {"image": "x.nii"}], {"fold": 3, "part": "validation"}, "folds are [0, 1, 2]"),
        ([], {"fold": -1}, "has no training case"),
        ([FULL, {**FULL, "fold": 0}], {"fold": 0}, "cases of the patient p and trains on others"),
        (ROWS, {"repeat": 0}, "repeat is 0; give 1 or more"),
        (ROWS, {"limit": 0}, "limit is 0"),
    ],
)
def test_a_part_without_cases_is_refused(
    rows: Any, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        load_items(written(tmp_path, {"training": rows}), **settings)


@pytest.mark.parametrize("partly", [["4"], {"9": ["a", "b"]}, {"4": ["a"]}, {"4": ["a", 3]}])
def test_what_is_known_in_part_has_two_names_or_more(partly):
    content = {"labels": {"0": "background", "4": "a or b"}, "training": [], "partly": partly}
    with pytest.raises(ValueError, match=r"give a value of `labels` two names or more"):
        Datalist(content)
    assert Datalist({**content, "partly": {"4": ["a", "b"]}}).partly == {4: ["a", "b"]}
