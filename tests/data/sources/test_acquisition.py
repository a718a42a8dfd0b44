# SPDX-License-Identifier: Apache-2.0
"""Folds of radiographs that were taken alike: groups by border and grey scale, each in one fold."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvol.data.sources.acquisition import GROUP, grouped, how_taken, make, rows
from medvol.errors import InputError

WAYS = ("plain", "framed", "bright", "wide")  # of taking pictures; each has both classes


def taken(path: Path, way: str, seed: int) -> Path:
    """Noise in one of the ways."""
    random = np.random.default_rng(seed)
    grey = random.normal(170 if way == "bright" else 90, 15, (40, 80 if way == "wide" else 40))
    if way == "framed":
        grey[:4] = grey[-4:] = 0
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """Four ways, each with two pictures of each of two patients a class; and a test part."""
    parts: dict[str, list[dict[str, object]]] = {"training": [], "validation": [], "test": []}
    for number in range(32):
        way, patient = WAYS[number // 8], f"p{number // 2}"
        path = taken(tmp_path / f"{number}.png", way, number)
        part = "validation" if number % 8 < 2 else "training"
        parts[part].append(
            {"image": path.name, "label": number // 2 % 2, "case": f"{number}", "patient": patient,
             "way": way}
        )  # fmt: skip
    parts["test"].append({**parts["training"][0], "case": "t", "patient": "t"})
    content = {"name": "x", "labels": {"0": "no", "1": "yes"}, **parts}
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    return tmp_path / "datalist.json"


def test_each_group_is_one_way_of_taking_pictures(datalist: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "groups.json", datalist=datalist, groups=4, folds=2)
    training = made.parts["training"]
    assert len(training) == 32  # with the validation part
    assert "validation" not in made.parts
    assert len(made.parts["test"]) == 1
    assert len({(item["way"], item[GROUP]) for item in training}) == 4
    folds = Counter((item["fold"], item["label"]) for item in training)
    assert folds == {(fold, label): 8 for fold in (0, 1) for label in (0, 1)}
    assert len({(item[GROUP], item["fold"]) for item in training}) == 4  # a group has one fold
    assert Path(training[0]["image"]).is_file()
    head, *table = rows(made)
    assert head == ["fold", "group", "no", "yes", "patients"]
    assert [row[2:] for row in table] == [["4", "4", "4"]] * 4


def test_numbers_of_a_picture(tmp_path: Path) -> None:
    numbers = how_taken(taken(tmp_path / "a.png", "wide", 0))
    assert numbers.shape == (132,)
    assert numbers[:2] == pytest.approx(np.log([3200, 2]))  # pixels, and columns a row
    assert (np.diff(numbers[2:12]) > 0).all()  # greys of growing shares


def test_pictures_of_a_patient_stay_together() -> None:
    numbers = np.zeros((5, 132))
    numbers[:, 5] = [0, 1, 0, 10, 11]  # the third picture alone would join the first
    assert grouped(numbers, ["a", "b", "c", "c", "c"], groups=2) == [0, 0, 1, 1, 1]


def test_what_cannot_be_is_refused(datalist: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"groups and folds are \(3, 4\)"):
        make(tmp_path / "x.json", datalist=datalist, groups=3, folds=4)
    with pytest.raises(InputError, match="it has 16 patients for 17 groups") as no:
        make(tmp_path / "x.json", datalist=datalist, groups=17, folds=2)
    assert no.value.code == "E_FORMAT"
    assert not (tmp_path / "x.json").exists()
