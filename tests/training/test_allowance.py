# SPDX-License-Identifier: Apache-2.0
"""A training that has had its time, or its patience, ends and says why, also after a kill."""

import math
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from ignite.engine import Engine, Events
from small_training import BATCHES, StopAt, make_training

from medvol.errors import InputError
from medvol.training.allowance import (
    Allowance,
    EarlyStop,
    Standing,
    read_standing,
    starter,
)
from medvol.training.checkpoint import Resume
from medvol.training.curves import read_curves


def allowed(folder: Path, *, score: Any = None, epochs: int = 4, **limits: Any) -> Engine:
    """The small training with an allowance behind its handlers."""
    made = make_training(folder, score=score, epochs=epochs, planned=max(epochs, 4))
    (evaluator,) = {
        handler.__self__.evaluator
        for handler, *_ in made._event_handlers[Events.EPOCH_COMPLETED]
        if isinstance(getattr(handler, "__self__", None), Resume)
    }
    Allowance(folder, evaluator, **limits).attach(made)
    return made


def validated(folder: Path) -> list[int]:
    return [p.epoch for p in read_curves(folder / "curves.csv") if p.name == "bright_dice"]


def test_all_epochs(tmp_path: Path) -> None:
    assert read_standing(tmp_path) == Standing(0, 0.0, None)
    allowed(tmp_path).run()
    epoch, seconds, stopped = read_standing(tmp_path)
    assert (epoch, stopped) == (4, "epochs")
    assert 0 < seconds < 60


def test_no_better_for_two_epochs(tmp_path: Path) -> None:
    """Best in epoch 2, equal in 3 and worse in 4."""
    scores = {1: 0.1, 2: 0.5, 3: 0.5, 4: 0.2}
    allowed(tmp_path, score=scores.__getitem__, epochs=9, patience=2).run()
    assert read_standing(tmp_path)[::2] == (4, "patience")
    assert validated(tmp_path) == [1, 2, 3, 4]


def test_patience_is_not_forgotten_over_a_stop(tmp_path: Path) -> None:
    scores = {1: 0.1, 2: 0.5, 3: 0.4, 4: 0.2}.__getitem__
    first = allowed(tmp_path, score=scores, epochs=9, patience=2)
    StopAt(Events.EPOCH_STARTED, 4).attach(first)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert read_standing(tmp_path)[::2] == (3, None)
    allowed(tmp_path, score=scores, epochs=9, patience=2).run()
    assert read_standing(tmp_path)[::2] == (4, "patience")


def test_time_that_is_up_ends_the_epoch_and_validates_it(tmp_path: Path) -> None:
    batches: list[int] = []
    made = allowed(tmp_path, budget_s=1e-6)
    made.add_event_handler(Events.ITERATION_COMPLETED, lambda e: batches.append(e.state.iteration))
    made.run()
    assert batches == [1]
    assert BATCHES == 2
    assert read_standing(tmp_path)[::2] == (1, "budget")
    assert validated(tmp_path) == [1]


def test_time_counts_over_a_stop(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text('{"epoch": 0, "seconds": 500, "stopped": null}')
    allowed(tmp_path, budget_s=400).run()
    epoch, seconds, stopped = read_standing(tmp_path)
    assert (epoch, stopped) == (1, "budget")
    assert seconds > 500


def test_a_record_of_a_training_that_began_anew_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text('{"epoch": 3, "seconds": 500, "stopped": null}')
    allowed(tmp_path, budget_s=400).run()
    assert read_standing(tmp_path).stopped == "epochs"


def test_epochs_without_validation_are_validated_when_time_is_up(tmp_path: Path) -> None:
    made = allowed(tmp_path, budget_s=1e-6)
    for handler, *_ in list(made._event_handlers[Events.EPOCH_COMPLETED]):
        if type(getattr(handler, "__self__", handler)).__name__ == "ValidationHandler":
            made.remove_event_handler(handler, Events.EPOCH_COMPLETED)
    made.run()
    assert validated(tmp_path) == [1]


def test_ends_when_its_starter_has_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = allowed(tmp_path)
    own = os.getppid()
    monkeypatch.setattr(os, "getppid", lambda: own + 1)
    made.run()
    assert made.state.iteration == 1
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"budget_s": 0}, "budget_s is 0"),
        ({"budget_s": float("nan")}, "budget_s is nan"),
        ({"patience": 0}, "patience is 0"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"patience": "2"}, "patience is '2'"),
    ],
)
def test_limits_that_make_no_sense(limits: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        Allowance(tmp_path, Engine(lambda *_: None), **limits)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0\0", '{"epochs": 3}'])
def test_a_damaged_record_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_standing(tmp_path)
    assert caught.value.path == str(path)
    assert "Take it away" in caught.value.remedy


SCORES = [0.5, 0.6, 0.6, 0.7, 0.65, 0.7, math.nan, 0.9]
STOPS = {1: 3, 2: 6, 3: 7}  # patience: epoch; 0.6 again, then 0.65 and 0.7 and no number


class Training:
    """A trainer and an evaluator without networks; what `Resume` keeps stands in `disk`."""

    def __init__(
        self, disk: dict[str, Any], *, interval: int = 1, kill_at: int = 0, **settings: Any
    ) -> None:
        self.trainer = Engine(lambda *_: None)
        self.evaluator = Engine(lambda *_: None)
        self.evaluator.state.key_metric_name = "score"
        self.stop = EarlyStop(self.evaluator, **settings)

        @self.trainer.on(Events.EPOCH_COMPLETED(every=interval))
        def validate() -> None:
            epoch = self.trainer.state.epoch
            self.evaluator.state.epoch = epoch
            self.evaluator.state.metrics["score"] = SCORES[epoch - 1]

        self.stop.attach(self.trainer)

        @self.trainer.on(Events.STARTED)
        def load() -> None:
            if disk:
                self.stop.load_state_dict(disk["stop"])
                self.trainer.state.epoch = disk["epoch"]

        @self.trainer.on(Events.EPOCH_COMPLETED)
        def save() -> None:
            disk.update(epoch=self.trainer.state.epoch, stop=self.stop.state_dict())
            if self.trainer.state.epoch == kill_at:
                raise KeyboardInterrupt

    def run(self) -> int:
        self.trainer.run([0, 0], max_epochs=len(SCORES))
        return self.trainer.state.epoch


@pytest.mark.parametrize(("patience", "last"), STOPS.items())
def test_it_stops_after_so_many_epochs_that_are_not_better(patience: int, last: int) -> None:
    assert Training({}, patience=patience).run() == last


@pytest.mark.parametrize("patience", [4, None])
def test_it_does_not_stop_while_there_is_patience(patience: int | None) -> None:
    assert Training({}, patience=patience).run() == len(SCORES)


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_killed_and_continued_it_stops_at_the_same_epoch(kill_at: int) -> None:
    disk: dict[str, Any] = {}
    with pytest.raises(KeyboardInterrupt):
        Training(disk, patience=3, kill_at=kill_at).run()
    assert Training(disk, patience=3).run() == STOPS[3]


def test_a_training_that_had_stopped_stays_so() -> None:
    disk: dict[str, Any] = {}
    Training(disk, patience=2).run()
    again = Training(disk, patience=2)
    assert again.run() == STOPS[2]
    assert again.trainer.state.iteration == 0


def test_more_patience_lets_it_go_on() -> None:
    disk: dict[str, Any] = {}
    Training(disk, patience=2).run()
    assert Training(disk, patience=4).run() == len(SCORES)


def test_only_epochs_that_were_validated_count() -> None:
    """With every second: 0.6, 0.7, 0.7, 0.9 at epochs 2, 4, 6, 8."""
    assert Training({}, patience=1, interval=2).run() == 6
    assert Training({}, patience=2, interval=2).run() == 8


def test_small_gains_do_not_count_but_add_up() -> None:
    """0.6 and 0.7 are 0.1 and 0.2 above 0.5."""
    assert Training({}, patience=2, smallest_gain=0.15).run() == 3
    assert Training({}, patience=3, smallest_gain=0.15).run() == 7


def test_arguments_out_of_range_are_refused() -> None:
    nan = float("nan")
    wrong: tuple[dict[str, Any], ...] = (
        {"patience": 0}, {"patience": 2.5}, {"patience": 1, "smallest_gain": -0.1},
        {"patience": 1, "smallest_gain": nan},
    )  # fmt: skip
    for settings in wrong:
        with pytest.raises(ValueError, match="give a whole number of 1 or more, and 0 or more"):
            EarlyStop(Engine(lambda *_: None), **settings)


def test_of_several_processes_the_first_measures_time_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one is the second; the first says that the time is used up, after two epochs."""
    said = iter([0.0] * 8 + [1.0] * 3)  # four times in an epoch
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    monkeypatch.setattr("ignite.distributed.broadcast", lambda *_, **__: next(said))
    made = allowed(tmp_path, budget_s=1e9)
    made.run()
    assert made.state.epoch == 3
    assert next(said, None) is None
    assert not (tmp_path / "progress.json").exists()
    assert not (tmp_path / ".training.lock").exists()


def test_the_starter_of_several_processes_is_that_of_their_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert starter() == os.getppid()
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: 2)
    assert starter() == psutil.Process(os.getppid()).ppid()
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)  # no process has it
    assert starter() is None
