# SPDX-License-Identifier: Apache-2.0
"""A bundle of one's own from Python: the steps of a notebook, by a program that is quick."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from class_phantoms import make_class_folders
from PIL import Image
from refusals import refused_by

import medvol
from medvol.data.datalist import Datalist
from medvol.report.batch import Tile
from medvol.search.epoch_bar import epoch_bar, epochs_of
from medvol.search.samples import draw_top_losses


@pytest.fixture
def learner(
    bundles: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> medvol.Learner:
    monkeypatch.chdir(tmp_path)
    settings = {"image_size": 8, "epochs": 2}
    return medvol.Learner(bundles / "base", data, name="my_tb", settings=settings)


def grey(picture: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(picture.convert("L"))


def test_it_ends_with_figures_and_a_bundle_and_does_nothing_twice(
    learner: medvol.Learner, bundles: Path, data: Path, tmp_path: Path
) -> None:
    figures = learner.train()
    assert figures["test part"]["accuracy"] == 0.75
    assert (bundles / "my_tb" / "models" / "model.pt").is_file()
    settings = {"image_size": 8, "epochs": 2}
    again = medvol.Learner(bundles / "base", data, name="my_tb", settings=settings)
    assert again.train(progress=False) == figures
    starts = tmp_path / "runs" / "my_tb" / "all" / "model" / "starts.txt"
    assert starts.read_text() == "0\n"


def test_before_the_training_there_are_neither_figures_nor_pictures_of_it(
    learner: medvol.Learner,
) -> None:
    refused_by(lambda: learner.figures, "E_PATH")
    refused_by(learner.show_curves, "E_PATH")
    refused_by(learner.show_top_losses, "E_EMPTY")
    refused_by(lambda: learner.bundle, "E_BUNDLE")


def test_a_batch_is_shown_before_and_losses_after_the_training(
    learner: medvol.Learner, tmp_path: Path
) -> None:
    batch = grey(learner.show_batch(count=2))  # an image of each class
    assert batch.shape == (
        round(80 + (1600 - 40 - 3 * 8) / 4 + 34), 1600
    )  # fmt: skip
    learner.train()
    losses = learner.show_top_losses(count=4)
    assert losses.size[0] == 1600
    saved = tmp_path / "runs" / "my_tb" / "top_losses.png"
    assert np.array_equal(np.asarray(Image.open(saved)), np.asarray(losses))


def test_the_highest_loss_comes_first(
    learner: medvol.Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the test part one with tb got 0.1; the others 0.9."""
    drawn: list[Any] = []

    def noted(_: Path, tiles: list[Tile], __: str, **words: str) -> None:
        captions, wrong = [tile.caption for tile in tiles], [tile.wrong for tile in tiles]
        drawn.append((captions, wrong, words["subtitle"]))

    monkeypatch.setattr("medvol.search.samples.draw_batch", noted)
    learner.train()
    draw_top_losses(learner._run, count=2)
    ((captions, wrong, subtitle),) = drawn
    assert captions[0] == "tb, taken for healthy 0.90, loss 2.30"  # -ln 0.1
    assert captions[1].endswith("loss 0.11")  # -ln 0.9
    assert wrong == [True, False]
    assert subtitle == "test part: 1 of 4 images are taken for another class"


def test_epochs_are_counted_over_all_trainings_that_say_how_many(
    learner: medvol.Learner, capsys: pytest.CaptureFixture[str]
) -> None:
    run = learner._run
    assert epochs_of(run) == {}  # this program has no trainer
    for path in (run.order.bundle / "configs").glob("train.json"):
        config = json.loads(path.read_text())
        config["train"]["trainer"] = {"max_epochs": "$@epochs + 1"}
        path.write_text(json.dumps(config))
    assert epochs_of(run) == {run.folder / "all" / "model": 3}
    with epoch_bar(run):
        run.run()
    assert capsys.readouterr().err == ""  # nobody looks


def test_folders_of_classes_become_a_datalist(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "in", {"ill": 12, "well": 12})
    path = medvol.datalist_from_folders(
        tmp_path / "in", tmp_path / "d.json", patient_pattern=r"_p(\d+)_", classes=["well", "ill"]
    )
    read = Datalist.read(path)
    assert read.class_names == ("well", "ill")
    assert sum(len(items) for items in read.parts.values()) == 24


@pytest.mark.parametrize("folds", [-1, 1])
def test_folds_that_cannot_be_are_refused(folds: int, bundles: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="2 or more, or 0"):
        medvol.Learner(bundles / "base", data, name="mine", folds=folds)
