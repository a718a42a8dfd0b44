# SPDX-License-Identifier: Apache-2.0
"""The bar shows the loss on a terminal and nothing in a log file."""

import io
import sys
from pathlib import Path

import pytest
import torch
from small_classes import make_classes_training, make_evaluator

from medvol.training.one_cycle import Stage
from medvol.training.progress import Progress, loss_of


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
