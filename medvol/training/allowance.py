# SPDX-License-Identifier: Apache-2.0
"""How long a training may go on, and a record of how far it came and why it ended."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from ignite.engine import Engine, Events

from ..files import write_json

RECORD = "progress.json"
LOCK = ".training.lock"


class Standing(NamedTuple):
    """Epochs done, seconds of training and validation over all starts, why it ended.

    `stopped` is "epochs" (all done), "patience", "budget", or None while it may go on.
    """

    epoch: int = 0
    seconds: float = 0.0
    stopped: str | None = None


def read_standing(folder: str | os.PathLike[str]) -> Standing:
    """How far the training in a folder came; nothing done when there is no record."""
    try:
        return Standing(**json.loads((Path(folder) / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Standing()


class Allowance:
    """End a training whose time is used up or that no longer becomes better; keep a record.

    When the time is used up in the middle of an epoch, the epoch ends there and is validated, so
    that every training has a figure. Time counts from the first batch, without the loading of data,
    and goes on counting over a resume. The record is `progress.json`. A training whose starter has
    died ends at its next batch, and another one in the same folder waits until it has: a lock of
    the operating system sees to that.
    Attach it to the trainer behind all others, `Resume` too: what it counts from is their state.

    Args:
        folder: of the record, and of the training.
        evaluator: whose key metric counts; higher is better.
        budget_s: seconds, above 0; None for no limit.
        patience: epochs without a better key metric, 1 or more; None for no limit.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        evaluator: Engine,
        *,
        budget_s: float | None = None,
        patience: int | None = None,
    ) -> None:
        if budget_s is not None and not budget_s > 0:
            raise ValueError(f"budget_s is {budget_s}; give seconds above 0, or none")
        if patience is not None and patience < 1:
            raise ValueError(f"patience is {patience}; give 1 or more epochs, or none")
        self.folder = Path(folder)
        self.evaluator = evaluator
        self.budget_s = budget_s
        self.patience = patience
        self._lock = FileLock(self.folder / LOCK, is_singleton=True)
        self._starter = os.getppid()
        self._begin = 0.0

    def attach(self, engine: Engine) -> None:
        """Wait until no other process trains in the folder, then look after this training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        engine.add_event_handler(Events.STARTED, self.started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.batch_done)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_done)

    @property
    def seconds(self) -> float:
        """Time used so far."""
        return time.monotonic() - self._begin

    def started(self, engine: Engine) -> None:
        before = read_standing(self.folder)
        known = before.epoch <= engine.state.epoch  # else the training began anew
        self._begin = time.monotonic() - (before.seconds if known else 0.0)

    def batch_done(self, engine: Engine) -> None:
        if os.getppid() != self._starter:
            engine.terminate()
        elif self._over_budget:
            engine.terminate_epoch()

    def epoch_done(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        if self._over_budget and self.evaluator.state.epoch != epoch:
            self.evaluator.run(epoch)
        stopped = self._why(epoch, engine.state.max_epochs or 0)
        record = Standing(epoch, round(self.seconds, 2), stopped)
        write_json(self.folder / RECORD, record._asdict(), indent=None)
        if stopped:
            engine.terminate()

    @property
    def _over_budget(self) -> bool:
        return self.budget_s is not None and self.seconds >= self.budget_s

    def _why(self, epoch: int, max_epochs: int) -> str | None:
        if epoch >= max_epochs:
            return "epochs"
        if self._over_budget:
            return "budget"
        best = max(0, self.evaluator.state.best_metric_epoch)  # -1 before the first
        return "patience" if self.patience and epoch - best >= self.patience else None
