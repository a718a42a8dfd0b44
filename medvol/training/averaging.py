# SPDX-License-Identifier: Apache-2.0
"""The mean of a network's weights over the last steps of a training, as the model that is kept."""

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .checkpoint import unwrapped


class WeightAveraging:
    """An exponential moving average (EMA) of weights and batch statistics, beside the training.

    After each step it moves by a share towards the network, see `share_at`; the training itself
    stays as it is. Validate `network` and keep its weights; name this among the objects of
    `Resume`. On several processes each computes the same average. Attach it to the trainer.

    Args:
        network: that is trained.
        share: by which the average moves in a step, above 0 and below 1, such as 0.005 for about
            the last 200 steps; None: there is none, and nothing is computed.

    Attributes:
        network: with the average as its weights; without one that which is trained.

    Raises:
        ValueError: another share.
    """

    def __init__(self, network: nn.Module, share: float | None = None) -> None:
        if share is not None and not 0 < share < 1:
            raise ValueError(f"ema is {share}; give a share above 0 and below 1, or null for none")
        self.trained = self.network = unwrapped(network)
        self.average: AveragedModel | None = None
        if share is not None:

            def move(average: Sequence[Tensor], trained: Sequence[Tensor], steps: Any) -> None:
                get_ema_multi_avg_fn(1 - share_at(int(steps), share))(average, trained, steps)

            self.average = AveragedModel(self.trained, multi_avg_fn=move, use_buffers=True)
            self.network = self.average.module

    def attach(self, engine: Engine) -> None:
        """Follow each step of a trainer."""
        if self.average is not None:
            engine.add_event_handler(
                Events.ITERATION_COMPLETED, self.average.update_parameters, self.trained
            )

    def state_dict(self) -> dict[str, Any]:
        """The average, and of how many steps it is; nothing where there is none."""
        if self.average is None:
            return {}
        return {"network": self.network.state_dict(), "steps": int(self.average.n_averaged)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; where it holds nothing, begin with the next step."""
        if self.average is not None and state:
            self.network.load_state_dict(state["network"])
            self.average.n_averaged.fill_(state["steps"])


def share_at(steps: int, share: float) -> float:
    """By how much an average moves: more in the first steps, so that it forgets where it began.

    As of TensorFlow's `ExponentialMovingAverage` with `num_updates`.

    Args:
        steps: that it is of by now, 1 or more.
        share: of later steps, 0 to 1.

    Example:
        >>> [share_at(steps, 0.01) for steps in (8, 80, 8000)]
        [0.5, 0.1, 0.01]
    """
    return max(share, 9 / (10 + steps))


def handler(averaging: WeightAveraging) -> WeightAveraging:
    """The same, for a list of handlers, see `medvol.training.precision.handler`.

    Args:
        averaging: that `Resume` refers to too.
    """
    return averaging
