# SPDX-License-Identifier: Apache-2.0
"""The confounding test on made pictures, in which a border gives the class away, or does not."""

from pathlib import Path

from radiographs import made_classes

from medvol.data.items import load_items
from medvol.metrics.classes.confounding import CLASS, NAME_ALONE, SOURCE, Confounding
from medvol.tasks.confounding import predict_from_surroundings

EACH = {"training": 40, "test": 40}
# A useless score has AUC 0.5 with standard deviation sqrt((m + n + 1) / (12 m n)), which is 0.065
# of 40 and 40; three of them
CHANCE = 0.195
BORDER, OUTSIDE = "border", "without the lungs"


def of(datalist: Path) -> Confounding:
    return predict_from_surroundings(
        load_items(datalist, part="training"), load_items(datalist, part="test")
    )


def test_border_that_gives_the_class_away(tmp_path: Path) -> None:
    found = of(made_classes(tmp_path, each=EACH, marked="ill"))
    assert [(row.target, row.clue) for row in found.predicted] == [
        (CLASS, BORDER), (CLASS, OUTSIDE), (CLASS, NAME_ALONE), (SOURCE, BORDER), (SOURCE, OUTSIDE),
    ]  # fmt: skip
    for row in found.predicted:
        assert row.auc.value > 0.99, row
        assert row.accuracy.value > 0.95, row
        assert row.guess == 0.5
    assert (found.training, found.measured, found.shared, found.unreadable) == (80, 80, 0, 0)


def test_border_that_tells_the_hospital_only(tmp_path: Path) -> None:
    found = of(made_classes(tmp_path, each=EACH, marked="half"))
    for clue in (BORDER, OUTSIDE, NAME_ALONE):
        (row,) = (row for row in found.targets[CLASS] if row.clue == clue)
        assert row is not None
        assert abs(row.auc.value - 0.5) < CHANCE, row
    source = next(row for row in found.targets[SOURCE] if row.clue == BORDER)
    assert source is not None
    assert source.auc.value > 0.99


def test_one_source_or_none_is_not_told(tmp_path: Path) -> None:
    datalist = made_classes(tmp_path, each={"training": 4, "test": 4}, marked="ill")
    parts = [load_items(datalist, part=part) for part in ("training", "test")]
    for items in parts:
        for item in items:
            del item["source"]
    found = predict_from_surroundings(*parts)
    assert [(row.target, row.clue) for row in found.predicted] == [
        (CLASS, BORDER),
        (CLASS, OUTSIDE),
    ]
    assert SOURCE not in found.targets


def test_patients_of_the_measured_part_are_not_trained_on(tmp_path: Path) -> None:
    datalist = made_classes(tmp_path, each={"training": 4, "test": 2}, marked="ill")
    training, test = (load_items(datalist, part=part) for part in ("training", "test"))
    training[0]["patient"] = training[1]["patient"] = test[0]["patient"]
    found = predict_from_surroundings(training, test)
    assert (found.training, found.shared) == (6, 2)


def test_pictures_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    datalist = made_classes(tmp_path, each={"training": 4, "test": 2}, marked="ill")
    (tmp_path / "training_000.png").write_bytes(b"")
    (tmp_path / "test_001.png").unlink()
    found = of(datalist)
    assert (found.training, found.measured, found.unreadable) == (7, 3, 2)


def test_nothing_to_train_on(tmp_path: Path) -> None:
    datalist = made_classes(tmp_path, each={"test": 2}, marked="ill")
    assert predict_from_surroundings([], load_items(datalist, part="test")).predicted == ()
