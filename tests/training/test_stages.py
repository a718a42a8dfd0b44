# SPDX-License-Identifier: Apache-2.0
"""Two-stage fine-tuning of a classifier: it learns, and killed anywhere it ends the same."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from small_classes import BATCHES, STAGES, classifier, make_classes_training
from small_training import StopAt
from torch import nn

from medvol.errors import InputError
from medvol.training.curves import read_curves
from medvol.training.one_cycle import Stage
from medvol.training.stages import Stages

EPOCHS = sum(stage.epochs for stage in STAGES)


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training; `test_curves` looks at the picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.training.curves.draw_curves", lambda _: None)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-one-go")
    make_classes_training(folder).run()
    return folder


def test_tiny_classes_are_learned(uninterrupted: Path) -> None:
    points = read_curves(uninterrupted / "curves.csv")
    accuracies = [p.value for p in points if p.name == "accuracy"]
    assert max(accuracies) == 1
    assert accuracies[0] < 1
    assert load(uninterrupted / "last.pt")["best_metric"] == 1
    names = [p.name for p in points if p.epoch == 1]
    assert names == [
        "accuracy", "auc", "balanced_accuracy", "log_likelihood", "train_loss", "learning_rate",
    ]  # fmt: skip


def test_stage_1_trains_the_head_alone_and_stage_2_everything(uninterrupted: Path) -> None:
    start = classifier().state_dict()
    first, second = (load(uninterrupted / f"stage{n}.pt") for n in (1, 2))
    body = [name for name in start if name.startswith("body.")]
    assert all(torch.equal(first[name], start[name]) for name in body)  # batch statistics as well
    assert not torch.equal(first["head.1.weight"], start["head.1.weight"])
    for name in (name for name in body if not name.endswith("num_batches_tracked")):
        assert not torch.equal(second[name], first[name]), name
    assert list(second) == list(start)


STOPS = {
    "within epoch 2": StopAt(Events.ITERATION_COMPLETED, 2),
    "after epoch 2, the last of stage 1": StopAt(Events.EPOCH_COMPLETED, 2),
    "within epoch 3, the first of stage 2": StopAt(Events.ITERATION_COMPLETED, 3),
    "after epoch 6, the last": StopAt(Events.EPOCH_COMPLETED, 6),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_killed_anywhere_and_continued_is_as_one_run(
    stop: StopAt, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_classes_training(tmp_path, before_resume=[stop]).run()
    assert load(tmp_path / "last.pt")["epoch"] == stop.epoch - 1
    resumed = make_classes_training(tmp_path, first_weights=99)
    resumed.run()
    assert resumed.state.iteration == EPOCHS * BATCHES
    curves = [(folder / "curves.csv").read_bytes() for folder in (tmp_path, uninterrupted)]
    assert curves[0] == curves[1]
    for name in ("model.pt", "stage1.pt", "stage2.pt"):
        torch.testing.assert_close(
            load(tmp_path / name), load(uninterrupted / name), rtol=0, atol=0
        )


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(
    uninterrupted: Path, tmp_path: Path
) -> None:
    make_classes_training(tmp_path / "same").run()
    make_classes_training(tmp_path / "other", seed=4).run()
    whole, same, other = (
        (folder / "curves.csv").read_bytes()
        for folder in (uninterrupted, tmp_path / "same", tmp_path / "other")
    )
    assert same == whole
    assert other != whole


def test_early_stopping_outlives_a_kill(tmp_path: Path) -> None:
    """At 100 % nothing can become better, so it ends before the last epoch."""
    long = [Stage(12, 0.02)]
    whole = make_classes_training(tmp_path / "whole", stages=long, patience=2)
    whole.run()
    last = whole.state.epoch
    assert 3 <= last < 12
    stop = StopAt(Events.EPOCH_COMPLETED, last)
    with pytest.raises(KeyboardInterrupt):
        make_classes_training(
            tmp_path / "parts", stages=long, patience=2, before_resume=[stop]
        ).run()
    parts = make_classes_training(tmp_path / "parts", stages=long, patience=2)
    parts.run()
    assert parts.state.epoch == last
    curves = [(tmp_path / name / "curves.csv").read_bytes() for name in ("whole", "parts")]
    assert curves[0] == curves[1]
    again = make_classes_training(tmp_path / "parts", stages=long, patience=2)
    again.run()
    assert (again.state.epoch, again.state.iteration) == (last, last * BATCHES)
    assert (tmp_path / "parts" / "curves.csv").read_bytes() == curves[0]


def test_what_is_frozen_again_stands_still(tmp_path: Path) -> None:
    """Gradients of zero would still be stepped on, by momentum and weight decay."""
    stages = [Stage(1, 0.01), Stage(1, 0.01, frozen=True)]
    make_classes_training(tmp_path, stages=stages).run()
    first, second = (load(tmp_path / f"stage{n}.pt") for n in (1, 2))
    for name in first:
        assert torch.equal(first[name], second[name]) == name.startswith("body."), name


def test_a_checkpoint_without_an_object_of_the_config_is_refused(tmp_path: Path) -> None:
    trainer = make_classes_training(tmp_path, stages=[Stage(1, 0.01)])
    trainer.run()
    state = load(tmp_path / "last.pt")
    del state["early_stop"]
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError, match="started without early_stop") as caught:
        make_classes_training(tmp_path, stages=[Stage(1, 0.01)]).run()
    assert caught.value.code == "E_BUNDLE"


def test_class_weights_are_in_the_loss(tmp_path: Path) -> None:
    weight = make_classes_training(tmp_path).loss_function.weight
    assert weight.tolist() == pytest.approx([18 / (3 * n) for n in (8, 6, 4)])


def test_networks_that_cannot_be_frozen_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Linear has no freeze_body"):
        Stages(nn.Linear(1, 1), STAGES, tmp_path)
    with pytest.raises(ValueError, match="there is no stage"):
        Stages(classifier(), [], tmp_path)
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module, wrapped.find_unused_parameters = classifier(), False
    with pytest.raises(ValueError, match="find_unused_parameters=True"):
        Stages(wrapped, STAGES, tmp_path)
    wrapped.find_unused_parameters = True
    assert Stages(wrapped, STAGES, tmp_path).network is wrapped.module


def test_rates_in_the_curves_are_those_of_the_head(uninterrupted: Path) -> None:
    points = read_curves(uninterrupted / "curves.csv")
    rates = [p.value for p in points if p.name == "learning_rate"]
    # after the last step of stage 1 the rate is the first of stage 2: its peak / 25
    assert rates[1] == pytest.approx(0.02 / 25)
    # 12 steps with the peak at 0.3 x 12 - 1 = 2.6; after 6 of them at (6 - 2.6) / (11 - 2.6)
    share = (6 - 2.6) / (11 - 2.6)
    low = 0.02 / 25e4
    assert rates[3] == pytest.approx(low + (0.02 - low) / 2 * (1 + math.cos(math.pi * share)))
