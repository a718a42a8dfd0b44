# SPDX-License-Identifier: Apache-2.0
"""Class folders with and without parts; patients by a pattern; refusals."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from class_phantoms import make_class_folders, save_picture
from refusals import refused_by

from medvol.data.classes import ClassSet
from medvol.data.sources.folder import read

PATTERN = r"_(p\d+)_"


def folder_set(root: Path, **options) -> ClassSet:
    return read(root, root=root, **options)


def test_folders_of_classes_are_divided_later(tmp_path):
    made = folder_set(make_class_folders(tmp_path, {"b10": 2, "b9": 4}))
    assert made.names == ("b9", "b10")
    assert Counter((p.name, p.part) for p in made.pictures) == {("b9", ""): 4, ("b10", ""): 2}
    assert made.pictures[0].patient == "b9/b9_p0_0.png"
    assert made.notes == (
        "Each file counts as a patient of its own; `--patient-pattern` says what they share.",
    )
    assert made.about["name"] == tmp_path.name


def test_folders_of_parts_are_kept(tmp_path):
    counts = {"Train/a": 1, "Train/b": 1, "val/a": 1, "TEST/b": 2}
    made = folder_set(make_class_folders(tmp_path, counts))
    assert Counter((p.part, p.name) for p in made.pictures) == {
        ("training", "a"): 1, ("training", "b"): 1, ("validation", "a"): 1, ("test", "b"): 2
    }  # fmt: skip


def test_training_is_divided_where_no_validation_is_given(tmp_path):
    made = folder_set(make_class_folders(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 2}))
    assert Counter(p.part for p in made.pictures) == {"": 4, "test": 2}


def test_pattern_finds_the_patient_below_the_class_folder(tmp_path):
    root = make_class_folders(tmp_path, {"train/a_p7_": 4, "train/b": 2})
    save_picture(root / "train" / "b" / "p3" / "x.png", 1)
    made = folder_set(root, patient_pattern=r"p(\d+)")
    assert [p.patient for p in made.pictures] == ["7", "7", "7", "7", "0", "0", "3"]
    made = folder_set(root, patient_pattern=r"p\d+")
    assert [p.patient for p in made.pictures][-2:] == ["p0", "p3"]
    assert made.notes == ()
    error = refused_by(lambda: folder_set(root, patient_pattern=PATTERN), "E_FORMAT")
    assert error.path.endswith("x.png")


def test_one_class_may_be_spelt_in_two_ways(tmp_path):
    """The commonest spelling counts, or that of `--classes`."""
    counts = {"train/NORMAL": 3, "train/no_covid": 1, "test/Normal": 2, "test/No COVID": 2}
    root = make_class_folders(tmp_path, counts)
    made = folder_set(root)
    assert made.names == ("NORMAL", "No COVID")
    assert Counter(picture.name for picture in made.pictures) == {"NORMAL": 5, "No COVID": 3}
    assert made.notes[1:] == ("Normal counts as NORMAL.", "no_covid counts as No COVID.")
    assert folder_set(root, classes=["normal", "No COVID"]).names == ("normal", "No COVID")
    error = refused_by(lambda: folder_set(root, classes=["normal", "covid"]), "E_FORMAT")
    assert error.reason == "its classes are No COVID, normal, not normal, covid."


def test_order_of_the_classes_can_be_given(tmp_path):
    root = make_class_folders(tmp_path, {"ill": 1, "well": 1})
    assert folder_set(root, classes=["well", "ill"]).names == ("well", "ill")
    error = refused_by(lambda: folder_set(root, classes=["well"]), "E_FORMAT")
    assert error.reason == "its classes are ill, well, not well."


def test_other_layouts_are_refused(tmp_path):
    refused_by(lambda: folder_set(tmp_path / "none"), "E_PATH")
    refused_by(lambda: folder_set(make_class_folders(tmp_path / "one", {"a": 2})), "E_EMPTY")
    mixed = make_class_folders(tmp_path / "mixed", {"train/a": 1, "train/b": 1, "c": 1})
    error = refused_by(lambda: folder_set(mixed), "E_FORMAT")
    assert error.reason == "folders of classes lie beside folders of parts."
    no_training = make_class_folders(tmp_path / "test only", {"test/a": 1, "test/b": 1})
    refused_by(lambda: folder_set(no_training), "E_EMPTY")


def test_what_is_not_taken_is_counted_and_named(tmp_path):
    root = make_class_folders(tmp_path, {"train/a": 2, "train/b": 2})
    for name in ("test/x1.png", "train/a/x.jfif"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / "train/a/a_p0_0.png", root / name)
    for name in ("a.jp2", "b.JP2", "notes.txt", "a_mask.png", "lung masks/a.png"):
        (root / "train/b" / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / "train/a/a_p0_0.png", root / "train/b" / name)
    (root / "train/b/.hidden.png").touch()
    made = folder_set(root)
    taken = ["a_p0_0.png", "a_p0_1.png", "x.jfif", "b_p0_0.png", "b_p0_1.png"]
    assert [picture.path.name for picture in made.pictures] == taken
    assert made.notes[1] == (
        "6 files were passed by: 2 .jp2, 2 masks, 1 .png, 1 .txt (such as test/x1.png)."
    )


def test_pictures_beside_their_masks_are_no_two_classes(tmp_path):
    root = make_class_folders(tmp_path, {"images": 2, "masks": 2})
    error = refused_by(lambda: folder_set(root), "E_EMPTY")
    assert error.reason == (
        "two class folders with pictures are needed; there is images. 2 files were "
        "passed by: 2 masks (such as masks/masks_p0_0.png)."
    )


def test_classes_and_parts_may_be_links(tmp_path):
    """Into a hidden store inside, to a folder elsewhere, and a part that is another's link."""
    root = tmp_path / "root"
    make_class_folders(root / ".store", {"a": 12})
    make_class_folders(tmp_path / "elsewhere", {"b": 12})
    (root / "train").mkdir()
    (root / "train/a").symlink_to("../.store/a")
    (root / "train/b").symlink_to(tmp_path / "elsewhere/b")
    (root / "test").symlink_to("train")
    made = folder_set(root)
    assert Counter((p.part, p.name) for p in made.pictures) == {
        ("", "a"): 12, ("", "b"): 12, ("test", "a"): 12, ("test", "b"): 12
    }  # fmt: skip


def test_pattern_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a regular expression"):
        folder_set(tmp_path, patient_pattern="(")
