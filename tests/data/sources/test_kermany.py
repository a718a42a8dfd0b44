# SPDX-License-Identifier: Apache-2.0
"""Kermany's radiographs: patients by name and germ, the official test part, an own split."""

import csv
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from class_phantoms import make_kermany_set, save_picture
from refusals import refused_by

from medvol.data.classes import by_shares, class_datalist
from medvol.data.leaks import fingerprints
from medvol.data.picture_files import find_pictures
from medvol.data.sources.kermany import NAMES, kermany_set, read_name

TRAINING = by_shares(training=0.75, validation=0.25)


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    return make_kermany_set(tmp_path)


def read(chest: Path, **options):
    return kermany_set(find_pictures([chest], chest / ".scratch"), **options)


@pytest.mark.parametrize(
    ("stem", "patient", "kind"),
    [
        ("IM-0115-0001", "IM-0115", "normal"),
        ("IM-0011-0001-0002", "IM-0011", "normal"),
        ("NORMAL2-IM-1427-0001", "NORMAL2-IM-1427", "normal"),
        ("person1_bacteria_2", "person1_bacteria", "bacteria"),
        ("person1_virus_2", "person1_virus", "virus"),
        ("person447_virus_921_1", "person447_virus", "virus"),
    ],
)
def test_patient_and_kind_stand_in_the_name(stem, patient, kind):
    assert read_name(stem) == (patient, kind)


@pytest.mark.parametrize("stem", ["IM-0115", "person1", "person1_fungus_2", "x_IM-0115-0001", ""])
def test_other_names_say_nothing(stem):
    assert read_name(stem) is None


def test_official_test_pictures_stay_and_the_rest_is_divided_by_patient(chest):
    made = read(chest)
    files = [picture.path for picture in made.pictures]
    datalist = class_datalist(replace(made, divide=TRAINING), fingerprints(files))
    assert datalist.about["labels"] == {"0": "normal", "1": "pneumonia"}
    test = Counter(item["class"] for item in datalist.parts["test"])
    assert test == {"normal": 2, "pneumonia": 4}
    assert {Path(i["image"]).parts[-3] for i in datalist.parts["test"]} == {"test"}
    training, validation = (
        {i["patient"] for i in datalist.parts[p]} for p in ("training", "validation")
    )
    assert len(training | validation) == 24  # 11 normal, 7 bacterial, 6 viral
    assert not training & validation
    assert sum(len(datalist.parts[p]) for p in ("training", "validation")) == 28
    assert datalist.about["notes"] == [
        "The official val folder, 16 pictures, is divided together with train.",
        "Never divided: 1 pair of the same picture (1 pixel-identical).",
    ]


def test_three_classes_come_from_the_names(chest):
    made = read(chest, classes=3)
    assert made.names == ("normal", "bacteria", "virus")
    assert Counter(p.name for p in made.pictures) == {"normal": 15, "bacteria": 11, "virus": 8}
    kinds = {p.kind for p in read(chest).pictures}
    assert kinds == set(NAMES[3])  # two classes are divided by germ too


def test_own_split_leaves_all_to_be_divided(chest):
    made = read(chest, protocol="own-split")
    assert {p.part for p in made.pictures} == {""}
    assert len(made.pictures) == 34
    assert made.notes == ()


def test_pictures_that_are_there_twice_or_elsewhere_count_once(chest):
    copy = chest / "chest_xray" / "train" / "NORMAL" / "IM-0115-0001.png"
    save_picture(copy, 1)  # as in the archive of Kaggle
    save_picture(chest / "samples.png", 99)
    made = read(chest)
    assert len(made.pictures) == 34
    assert made.notes[0] == "2 files lie elsewhere or are there twice; left out."


def test_what_is_not_this_data_set_is_refused(chest, tmp_path):
    with pytest.raises(ValueError, match="classes is 4; give 2 or 3"):
        read(chest, classes=4)
    stranger = save_picture(chest / "train" / "NORMAL" / "holiday.png", 98)
    assert refused_by(lambda: read(chest), "E_FORMAT").path == str(stranger)
    stranger.unlink()
    wrong = save_picture(chest / "train" / "NORMAL" / "person9_virus_8.png", 98)
    error = refused_by(lambda: read(chest), "E_FORMAT")
    assert (error.path, error.reason) == (str(wrong), "its name says virus, its folder normal.")
    error = refused_by(lambda: read(chest / "test"), "E_EMPTY")
    assert "the folders train and test" in error.reason
    save_picture(tmp_path / "other" / "a" / "b.png", 1)
    error = refused_by(lambda: read(tmp_path / "other"), "E_EMPTY")
    assert "no picture lies in train/NORMAL" in error.reason


def test_names_agree_with_the_table_of_the_whole_data_set(real_data):
    folder = real_data / "xray_pneumonia"
    files = {}
    for archive in folder.glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            files |= {n: Path(n) for n in opened.namelist() if not n.endswith("/")}
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    made = kermany_set(files, classes=3)
    assert len(made.pictures) == len(rows) == 5856
    for picture in made.pictures:
        row = rows[str(picture.path)]
        assert picture.name == row["class3"]
        assert picture.patient.removesuffix(f"_{row['class3']}") == row["patient"]
        assert (picture.part == "test") == (row["split_kaggle"] == "test")
    parts: dict[str, set[str]] = {}
    for picture in made.pictures:
        parts.setdefault(picture.patient, set()).add(picture.part)
    assert [patient for patient, found in parts.items() if len(found) > 1] == []
    names = {(row["patient"], row["split_kaggle"] == "test") for row in rows.values()}
    shared = [patient for patient, test in names if test and (patient, False) in names]
    assert len(shared) == 170  # numbers without the germ would join as many strangers
