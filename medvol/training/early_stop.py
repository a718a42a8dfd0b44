# SPDX-License-Identifier: Apache-2.0
"""Early stopping that a resume does not forget."""

import math
import sys
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping


class EarlyStop:
    """End the training when the key metric has not become better for `patience` validations.

    ignite's `EarlyStopping` with a state that `Resume` can keep: name it among the objects of
    `Resume`, and a training that was killed and continued stops at the same epoch; one that had
    stopped stays so. MONAI's `EarlyStopHandler` keeps no state. Attach it to the trainer between
    the validation handler and `Resume`. A key metric that is not a number is not better.

    Args:
        evaluator: whose key metric counts; higher is better.
        patience: validations in a row, 1 or more; None never stops.
        smallest_gain: above the best so far, or it is not better.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self, evaluator: Engine, *, patience: int | None, smallest_gain: float = 0.0
    ) -> None:
        patience = sys.maxsize if patience is None else patience
        if patience < 1 or smallest_gain < 0:
            raise ValueError(
                f"patience and smallest_gain are {(patience, smallest_gain)}; give 1 or more, and "
                "0 or more"
            )
        self.evaluator = evaluator
        self.stopping = EarlyStopping(
            patience, self._score, trainer=Engine(lambda *_: None), threshold=smallest_gain,
            cumulative=True,
        )  # fmt: skip

    def attach(self, engine: Engine) -> None:
        self.stopping.trainer = engine
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if self.evaluator.state.epoch == engine.state.epoch:  # validated in this epoch
            self.stopping(self.evaluator)

    def _score(self, evaluator: Engine) -> float:
        score = float(evaluator.state.metrics[evaluator.state.key_metric_name])
        return -math.inf if math.isnan(score) else score

    def state_dict(self) -> dict[str, Any]:
        return dict(self.stopping.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stopping.load_state_dict(state)
        if self.stopping.counter >= self.stopping.patience:
            self.stopping.trainer.terminate()
