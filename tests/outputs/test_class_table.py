# SPDX-License-Identifier: Apache-2.0
"""The table of classes: its lines, by hand and through an evaluator."""

import csv
from pathlib import Path

import ignite.distributed
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from medvol.outputs.class_table import SaveClasses

NAMES = ("normal", "bacterial pneumonia")


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def evaluated(path: Path) -> tuple[SaveClasses, Engine]:
    """The handler on an engine whose batches are items after post-processing."""

    def answer(_: Engine, batch: list[tuple[str, list[float], str]]) -> list[dict[str, object]]:
        return [
            {
                "picture": MetaTensor(
                    torch.zeros(1, 2, 2), meta={"filename_or_obj": name, "notes": notes}
                ),
                "pred": torch.tensor(probability),
            }
            for name, probability, notes in batch
        ]

    engine = Engine(answer)
    handler = SaveClasses(path, NAMES, image_key="picture")
    handler.attach(engine)
    return handler, engine


def test_an_evaluator_writes_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "eval" / "predictions.csv"
    _, engine = evaluated(path)
    batches = [[("a.png", [0.25, 0.75], ""), ("b.png", [1.0, 0.0], "N_EXIF turned.\nN_BITS 12.")],
               [("c.png", [0.0, 1.0], "")]]  # fmt: skip
    for _ in range(2):  # a second run replaces the first
        engine.run(batches)
        assert [[line[0], line[1], line[-1]] for line in lines(path)[1:]] == [
            ["a.png", "bacterial pneumonia", ""],
            ["b.png", "normal", "N_EXIF turned. N_BITS 12."],
            ["c.png", "bacterial pneumonia", ""],
        ]


def test_a_line_an_image(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    _, engine = evaluated(path)
    engine.run([[("a/x, 1.png", [0.25, 0.75], ""), ("b.png", [0.5, 0.5], "N_A x.\nN_B y.")],
                [("d.png", [1 - 1.25e-7, 1.25e-7], "")]])  # fmt: skip
    assert lines(path) == [
        ["image", "class", "index", "probability_normal", "probability_bacterial_pneumonia",
         "notes"],
        ["a/x, 1.png", "bacterial pneumonia", "1", "0.25", "0.75", ""],
        ["b.png", "normal", "0", "0.5", "0.5", "N_A x. N_B y."],
        ["d.png", "normal", "0", "1", "1.25e-07", ""],
    ]  # fmt: skip


def test_a_threshold_and_true_classes(tmp_path: Path) -> None:
    table = SaveClasses(tmp_path / "t.csv", NAMES, threshold=0.3, label_key="label")
    picture = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": "a.png"})
    probability = torch.tensor([0.7, 0.3])
    row = table.measure({"image": picture, "pred": probability, "label": torch.tensor(0)})
    table.cases.append(("a.png", row))
    assert table.columns[-2:] == ("truth", "notes")
    assert [*table.rows()] == [("a.png", "bacterial pneumonia", 1, "0.7", "0.3", 0, "")]


def test_names_and_probabilities_must_be_as_many(tmp_path: Path) -> None:
    _, engine = evaluated(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="x has 3 probabilities, but 2 classes are named"):
        engine.run([[("x", [0.2, 0.3, 0.5], "")]])
    assert not (tmp_path / "t.csv").exists()


def test_a_run_that_breaks_leaves_the_older_table(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("older")
    _, engine = evaluated(path)
    with pytest.raises(TypeError):
        engine.run([[("a.png", [0.5, 0.5], "")], [None]])
    assert path.read_text() == "older"


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignite.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match=r"t.csv is written by one process but 2 run"):
        SaveClasses(tmp_path / "t.csv", NAMES).attach(Engine(lambda *_: None))
