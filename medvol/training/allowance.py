# SPDX-License-Identifier: Apache-2.0
"""How long a training may go on, and a record of how far it came and why it ended."""

import math
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import ignite.distributed as idist
import psutil
from filelock import FileLock
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping

from ..errors import InputError
from ..files import read_json, write_json

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
    """How far the training in a folder came; nothing done when there is no record.

    Raises:
        InputError: E_FORMAT or E_CORRUPT, the record is damaged.
    """
    path = Path(folder) / RECORD
    if not path.is_file():
        return Standing()
    remedy = "Take it away, and the training goes on from its last epoch."
    found = read_json(path, what="record", remedy=remedy)
    try:
        return Standing(**found)
    except TypeError as error:
        raise InputError("E_CORRUPT", path, "it is not a record of a training.", remedy) from error


class Allowance:
    """End a training whose time is used up or that no longer becomes better; keep a record.

    When the time is used up in the middle of an epoch, the epoch ends there and is validated, so
    that every training has a figure. Time counts from the first batch, without the loading of data,
    and goes on counting over a resume. The record is `progress.json`. A training whose starter has
    died ends at its next batch, and another one in the same folder waits until it has: a lock of
    the operating system sees to that. Of several processes that train together (ranks) the first
    measures time, has the lock and writes the record.
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
        if patience is not None and (type(patience) is not int or patience < 1):
            raise ValueError(f"patience is {patience!r}; give 1 or more epochs, or none")
        self.folder = Path(folder)
        self.evaluator = evaluator
        self.budget_s = budget_s
        self.patience = patience
        self._lock = FileLock(self.folder / LOCK, is_singleton=True)
        self._starter = starter()
        self._begin = 0.0

    def attach(self, engine: Engine) -> None:
        """Wait until no other process trains in the folder, then look after this training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if idist.get_rank() == 0:
            self._lock.acquire()
        engine.add_event_handler(Events.STARTED, self.started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.batch_done)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_done)

    @property
    def seconds(self) -> float:
        """Time used so far, in seconds."""
        return time.monotonic() - self._begin

    def started(self, engine: Engine) -> None:
        """Begin to count, from the time of earlier starts."""
        before = read_standing(self.folder)
        known = before.epoch <= engine.state.epoch  # else the training began anew
        self._begin = time.monotonic() - (before.seconds if known else 0.0)

    def batch_done(self, engine: Engine) -> None:
        """End the epoch when the time is used up, the training when its starter has died."""
        if starter() != self._starter:
            engine.terminate()
        elif self._over_budget():
            engine.terminate_epoch()

    def epoch_done(self, engine: Engine) -> None:
        """Validate where the time is used up, write the record, and end what may not go on."""
        epoch = engine.state.epoch
        if self._over_budget() and self.evaluator.state.epoch != epoch:
            self.evaluator.run(epoch)
        stopped = self._why(epoch, engine.state.max_epochs or 0)
        record = Standing(epoch, round(self.seconds, 2), stopped)
        if idist.get_rank() == 0:
            write_json(self.folder / RECORD, record._asdict(), indent=None)
        if stopped:
            engine.terminate()

    def _over_budget(self) -> bool:
        """Whether the time of the first rank is used up: all end with the same batch."""
        if self.budget_s is None:
            return False
        return bool(idist.broadcast(float(self.seconds >= self.budget_s), src=0))

    def _why(self, epoch: int, max_epochs: int) -> str | None:
        if epoch >= max_epochs:
            return "epochs"
        if self._over_budget():
            return "budget"
        best = max(0, self.evaluator.state.best_metric_epoch)  # -1 before the first
        return "patience" if self.patience and epoch - best >= self.patience else None


def starter() -> int | None:
    """The process that started this training; None where it, or what lies between, has died.

    Of several ranks the agent of torchrun lies between, which would outlive it.
    """
    if idist.get_world_size() == 1:
        return os.getppid()
    try:
        return psutil.Process(os.getppid()).ppid()
    except psutil.NoSuchProcess:
        return None


class EarlyStop:
    """End the training when the key metric has not become better for `patience` validations.

    ignite's `EarlyStopping` with a state that `Resume` can keep: name it among the objects of
    `Resume`, and a training that was killed and continued stops at the same epoch; one that had
    stopped stays so. MONAI's `EarlyStopHandler` keeps no state. Attach it to the trainer between
    the validation handler and `Resume`. A key metric that is not a number is not better.

    Args:
        evaluator: whose key metric counts; higher is better.
        patience: validations in a row, 1 or more; None never stops.
        smallest_gain: above the best so far, 0 or more, or it is not better.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self, evaluator: Engine, *, patience: int | None, smallest_gain: float = 0.0
    ) -> None:
        patience = sys.maxsize if patience is None else patience
        if type(patience) is not int or patience < 1 or not smallest_gain >= 0:
            raise ValueError(
                f"patience and smallest_gain are {(patience, smallest_gain)}; give a whole number "
                "of 1 or more, and 0 or more"
            )
        self.evaluator = evaluator
        self.stopping = EarlyStopping(
            patience, self._score, trainer=Engine(lambda *_: None), threshold=smallest_gain,
            cumulative=True,
        )  # fmt: skip

    def attach(self, engine: Engine) -> None:
        """Look at each epoch of a trainer."""
        self.stopping.trainer = engine
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if self.evaluator.state.epoch == engine.state.epoch:  # validated in this epoch
            self.stopping(self.evaluator)

    def _score(self, evaluator: Engine) -> float:
        score = float(evaluator.state.metrics[evaluator.state.key_metric_name])
        return -math.inf if math.isnan(score) else score

    def state_dict(self) -> dict[str, Any]:
        """The best figure so far, and how many validations in a row were not better."""
        return dict(self.stopping.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; a training that had used up its patience ends at once."""
        self.stopping.load_state_dict(state)
        if self.stopping.counter >= self.stopping.patience:
            self.stopping.trainer.terminate()
