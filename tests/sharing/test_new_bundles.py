# SPDX-License-Identifier: Apache-2.0
"""A bundle of other labels or classes, of every kind, trains, predicts and passes the check.

The page Adding a bundle does it for masks of chest CT; here are the other kinds, each with a tiny
network for one epoch.
"""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from brain_phantoms import make_lgg_set
from class_phantoms import make_class_folders

from medvol.bundle.build import change_bundle
from medvol.bundle.new import new_bundle
from medvol.cli import main
from medvol.sharing.check import check_bundle
from medvol.tasks.task import load_bundle

pytestmark = pytest.mark.slow


def train(folder: Path, datalist: Path, *settings: str) -> None:
    """One short training on all cases, its weights put into the bundle."""
    words = ["train", folder, "--data", datalist, "--output", folder.parent / "run", "--install"]
    assert main([*map(str, words), "--set", "epochs=1", "precision=fp32", *settings]) == 0


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_classes_of_radiographs(tmp_path: Path) -> None:
    counts = {"normal": 12, "nodule": 12, "effusion": 12}
    make_class_folders(tmp_path / "data", counts, pattern="p{patient}{name}_{number}")
    datalist = tmp_path / "data" / "datalist.json"
    words = ["data", "folder", tmp_path / "data", "--patient-pattern", "^(.+)_", "-o", datalist]
    assert main([*map(str, words)]) == 0
    labels = write(tmp_path / "labels.json", {"classes": [*counts]})
    folder = new_bundle(tmp_path / "three", like="chest_xray_pneumonia", labels=labels)
    change_bundle(
        folder,
        {"parameters#image_size": 32, "parameters#depth": 18, "parameters#width": 4,
         "train#head_epochs": 1},
    )  # fmt: skip
    train(folder, datalist, "batch_size=8")
    assert list(map(str, check_bundle(folder))) == []
    answer = load_bundle(folder, device="cpu").predict(next((tmp_path / "data").rglob("*.png")))
    assert answer.classes is not None
    assert list(answer.classes.names) == [*counts]


def test_findings_in_slices(tmp_path: Path) -> None:
    datalist = tmp_path / "data" / "datalist.json"
    words = ["data", "phantom", "--output", datalist.parent, "--count", "2", "--spacing"]
    assert main([*map(str, words), "4", "4", "8"]) == 0
    rows = [{"value": 1, "name": "dense", "of": [2]}, {"value": 2, "name": "lung", "of": [1, 3]}]
    content = {"label_table": rows, "focus_labels": [1], "focus_name": "consolidation"}
    labels = write(tmp_path / "labels.json", content)
    folder = new_bundle(tmp_path / "dense", like="covid_ct_slice_classifier", labels=labels)
    change_bundle(
        folder,
        {"parameters#spacing_mm": [4.0, 4.0, 8.0], "parameters#patch_size": [64, 64],
         "parameters#finding_features": [4, 8]},
    )  # fmt: skip
    train(folder, datalist, "repeat=4", "batch_size=4")
    assert list(map(str, check_bundle(folder))) == []
    answer = load_bundle(folder, device="cpu").predict(next(datalist.parent.glob("*_ct.nii.gz")))
    assert answer.slices is not None
    assert answer.spec.classes == ("no consolidation", "consolidation")


def test_masks_of_mr_sequences(tmp_path: Path) -> None:
    make_lgg_set(tmp_path / "lgg", patients=3)
    datalist = tmp_path / "data" / "datalist.json"
    words = ["data", "lgg", tmp_path / "lgg", "-o", datalist, "--folds", "3"]
    assert main([*map(str, words)]) == 0
    rows = [{"value": 1, "name": "oedema", "of": [1]}]  # which the data call brain tumour
    labels = write(tmp_path / "labels.json", {"label_table": rows})
    folder = new_bundle(tmp_path / "oedema", like="brain_mri_tumor", labels=labels)
    change_bundle(folder, {"parameters#features": [4, 8], "parameters#patch_size": [32, 32]})
    train(folder, datalist, "repeat=2", "batch_size=2")
    assert list(map(str, check_bundle(folder))) == []
    assert main(["predict", str(tmp_path / "lgg"), "--bundle", str(folder), "-o",
                 str(tmp_path / "out"), "--format", "csv"]) == 0  # fmt: skip
    (table, *_) = sorted((tmp_path / "out").rglob("measurements.csv"))
    with table.open(encoding="utf-8") as file:
        assert {row["name"] for row in csv.DictReader(file)} >= {"oedema"}
