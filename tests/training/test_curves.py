# SPDX-License-Identifier: Apache-2.0
"""Curves: what stands in curves.csv, in which order, and that the picture is drawn."""

import io
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture
from refusals import refused_by
from small_classes import make_classes_training, make_evaluator
from small_training import EPOCHS, make_training

from medvol.training import curves
from medvol.training.curves import Point, Progress, loss_of, read_curves
from medvol.training.stages import Stage

NAMES = ["bright_dice", "train_loss", "learning_rate"]


def test_every_epoch_has_each_figure_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "draw_curves", lambda _: None)
    make_training(tmp_path, epochs=2, score={1: 0.25, 2: 0.5}.get).run()
    make_training(tmp_path, score={3: 0.125, 4: 1.0}.get).run()
    points = read_curves(tmp_path / "curves.csv")
    assert [(p.epoch, p.name) for p in points] == [
        (epoch, name) for epoch in range(1, EPOCHS + 1) for name in NAMES
    ]
    assert [p.value for p in points if p.name == "bright_dice"] == [0.25, 0.5, 0.125, 1.0]
    rates = [p.value for p in points if p.name == "learning_rate"]
    assert rates[0] > rates[1] > rates[2] > 0  # of the cycle: planned for 4 epochs, not for 2


WHOLE = "epoch,name,value\n1,train_loss,0.9\n1,learning_rate,0.1\n2,train_loss,0.8\n"
DAMAGED = {
    "of zero bytes": "",
    "cut in a number": WHOLE[:-3],
    "cut behind a name": WHOLE[: -len(",0.8\n")],
    "cut in the names of the columns": "epoch,na\n1,a\n",
    "with NULs": WHOLE + "\0" * 16 + "\n",
    "all NULs": "\0" * len(WHOLE),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(text)
    assert refused_by(lambda: read_curves(path), "E_CORRUPT").path == str(path)
    assert refused_by(lambda: make_training(tmp_path), "E_CORRUPT").path == str(path)
    assert path.read_text() == text


def test_a_file_that_lacks_epochs_that_were_trained_is_refused(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text(WHOLE)
    trainer = make_training(tmp_path)
    for epoch, is_right in ((3, True), (4, False)):
        trainer.state.epoch = epoch
        handler = curves.Curves(tmp_path, trainer.optimizer)
        if is_right:
            handler.start(trainer)
        else:
            error = refused_by(lambda h=handler: h.start(trainer), "E_CORRUPT")
            assert error.reason == "it ends after epoch 2, the training after 3."
    (tmp_path / "curves.csv").unlink()
    handler.start(trainer)  # taken away on purpose


def test_points_of_epochs_to_come_are_taken_out_and_older_ones_stay(tmp_path: Path) -> None:
    text = "epoch,name,value\n1,train_loss,0.9\n2,train_loss,0.8\n2,bright_dice,0.5\n"
    (tmp_path / "curves.csv").write_text(text)
    trainer = make_training(tmp_path)
    trainer.state.epoch = 2
    handler = curves.Curves(tmp_path, trainer.optimizer)
    handler.start(trainer)
    assert read_curves(tmp_path / "curves.csv") == [Point(1, "train_loss", 0.9)]


def test_the_loss_is_the_mean_over_the_epoch(tmp_path: Path) -> None:
    trainer = make_training(tmp_path)
    handler = curves.Curves(tmp_path, trainer.optimizer)
    trainer.state.epoch = 1
    handler.start(trainer)
    for loss in (0.5, 1.0, 3.0):
        trainer.state.output = [{"loss": loss}]
        handler.collect(trainer)
    handler.write(trainer)
    assert read_curves(handler.path)[0] == Point(1, "train_loss", 1.5)


def test_the_picture_has_one_panel_for_each_name(tmp_path: Path) -> None:
    rows = "".join(f"{epoch},{name},0.5\n" for epoch in (1, 2) for name in ("a", "b", "c"))
    path = tmp_path / "curves.csv"
    path.write_text("epoch,name,value\n" + rows)
    curves.draw_curves(path)
    with Picture.open(tmp_path / "curves.png") as picture:
        assert picture.size == (3 * 4 * 90, 3 * 90)


def test_many_names_take_rows_of_four_panels(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("epoch,name,value\n" + "".join(f"1,{name},0.5\n" for name in "abcdef"))
    curves.draw_curves(path)
    with Picture.open(tmp_path / "curves.png") as picture:
        assert picture.size == (4 * 4 * 90, 2 * 3 * 90)


def test_no_points_no_picture(tmp_path: Path) -> None:
    curves.draw_curves(tmp_path / "curves.csv")
    assert read_curves(tmp_path / "curves.csv") == []
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_bar_on_a_terminal_only(
    stream: type[io.StringIO], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    make_classes_training(tmp_path, stages=[Stage(1, 0.01)]).run()
    if shown.isatty():
        assert "Iteration: [1/3]" in shown.getvalue()
        assert "loss=" in shown.getvalue()
    else:
        assert shown.getvalue() == ""


def test_an_evaluator_has_no_loss_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    trainer = make_classes_training(tmp_path)
    evaluator = make_evaluator(trainer.network, tmp_path)
    Progress("validation").attach(evaluator)
    evaluator.run()
    assert "validation: [1/5]" in shown.getvalue()
    assert "loss" not in shown.getvalue()


def test_loss_of_an_output() -> None:
    assert loss_of([{"loss": torch.tensor(0.5), "image": None}]) == {"loss": 0.5}
    assert loss_of([{"pred": 1}]) == {}
    assert loss_of([]) == {}
