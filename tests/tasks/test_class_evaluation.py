# SPDX-License-Identifier: Apache-2.0
"""Images of a datalist beside their classes, and their small pictures."""

from pathlib import Path

import numpy as np
import pytest
from made_radiographs import made_classes
from refusals import refused_by
from tiny_radiographs import quarter_bundle

from medvol.data.datalist import load_items
from medvol.metrics.classes.evaluation import ClassCase
from medvol.tasks.class_evaluation import answer_images, completed, match_classes, tiles
from medvol.tasks.task import Bundle, load_bundle

NAMES = ("normal", "pneumonia")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = quarter_bundle(tmp_path_factory.mktemp("bundles") / "quarters", 2)
    return load_bundle(folder, device="cpu")


def test_classes_are_matched_by_name(classifier: Bundle) -> None:
    assert match_classes(classifier.spec, ["PNEUMONIA", "Normal"]) == (1, 0)
    assert match_classes(classifier.spec, ["pneumonia"]) == (1,)
    refused_by(lambda: match_classes(classifier.spec, ["normal", "covid"]), "E_BUNDLE")


def test_items_get_all_keys() -> None:
    items = [
        {"image": "/data/a/x.png", "label": 1, "source": "here"},
        {"image": "/data/y.png", "label": 0, "case": "y", "patient": "p"},
        {"image": "/other/z.png", "label": 0, "case": "z"},
    ]
    first, second, third = completed(items, NAMES, Path("/data"))
    assert first == {"image": "/data/a/x.png", "label": 1, "source": "here", "class": "pneumonia",
                     "case": "a/x.png", "patient": "a/x.png"}  # fmt: skip
    assert (second["case"], second["patient"], second["class"]) == ("y", "p", "normal")
    assert third["patient"] == "z"


def test_answers_and_refusals(classifier: Bundle, tmp_path: Path) -> None:
    data = made_classes(tmp_path, each={"test": 2}, marked="half")
    (tmp_path / "test_001.png").write_bytes(b"")
    items = completed(load_items(data, part="test"), NAMES, tmp_path)
    answers, refused = answer_images(classifier, items, (1, 0))  # turned round
    assert [image.case for image in answers] == ["test_000", "test_002", "test_003"]
    assert [image.truth for image in answers] == [1, 1, 0]
    alone = classifier.predict(answers[2].path).classes.probability
    assert np.allclose(answers[2].probability, alone, atol=1e-6)
    ((case, error),) = refused
    assert (case, error.code) == ("test_001", "E_EMPTY")


def test_tiles_with_and_without_attention(tmp_path: Path) -> None:
    made_classes(tmp_path, each={"test": 1}, marked="half")
    images = [
        ClassCase(name, tmp_path / f"{name}.png", name, 0, np.array([0.5, 0.5]))
        for name in ("test_000", "test_001")
    ]
    asked = []

    def cannot(path: Path) -> np.ndarray:
        asked.append(path)
        raise ValueError("no feature map")

    plain, seen = tiles(images, None)
    assert (list(plain), seen) == (["test_000", "test_001"], False)
    assert tiles(images, cannot) == (plain, False)
    assert len(asked) == 1
    both, seen = tiles(images, lambda _: np.ones((2, 2), np.float32))
    assert seen
    assert both["test_000"] != plain["test_000"]
    assert tiles([], lambda _: np.ones((2, 2), np.float32)) == ({}, False)
