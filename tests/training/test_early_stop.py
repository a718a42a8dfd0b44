# SPDX-License-Identifier: Apache-2.0
"""Early stopping stops at the same epoch whether or not the training was killed before."""

import math
from typing import Any

import pytest
from ignite.engine import Engine, Events

from medvol.training.early_stop import EarlyStop

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
    for settings in ({"patience": 0}, {"patience": 1, "smallest_gain": -0.1}):
        with pytest.raises(ValueError, match="give 1 or more, and 0 or more"):
            EarlyStop(Engine(lambda *_: None), **settings)
