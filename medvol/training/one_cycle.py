# SPDX-License-Identifier: Apache-2.0
"""The one-cycle plan of rates and momenta, once or several times in a row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .layer_rates import spread

START = 1 / 25  # of the peak rate; these four are those of torch's OneCycleLR
END = START / 1e4  # of the peak rate
MOMENTA = (0.85, 0.95)  # at the peak rate, and at both ends
WARM_UP = 0.3  # share of the steps


@dataclass(frozen=True)
class Stage:
    """Epochs of a training that have one cycle and one choice of what trains.

    Args:
        epochs: 1 or more.
        highest: peak rate of the last layers.
        lowest: peak rate of the first layers; None is `highest`.
        frozen: only the head trains.
        warm_up: share of the steps in which the rate grows, above 0 and below 1.

    Raises:
        ValueError: an argument out of range.
    """

    epochs: int
    highest: float
    lowest: float | None = None
    frozen: bool = False
    warm_up: float = WARM_UP

    def __post_init__(self) -> None:
        if self.epochs < 1 or not 0 < self.warm_up < 1:
            raise ValueError(
                f"epochs and warm_up are {(self.epochs, self.warm_up)}; give 1 epoch or more, and "
                "a share between 0 and 1"
            )
        self.peaks(1)

    def peaks(self, groups: int) -> list[float]:
        """Peak rates of so many parameter groups, from the first layers to the last."""
        return spread(self.highest if self.lowest is None else self.lowest, self.highest, groups)


class StagedOneCycle(LRScheduler):
    """A one-cycle plan for each stage, stepped after every batch.

    With one stage and one rate it is torch's `OneCycleLR` with default settings, which knows no
    stages: rates up along a cosine and down along another, momenta (or the first of Adam's betas)
    the other way. Smith and Topin, "Super-convergence", 2019 (doi 10.1117/12.2520589).

    Args:
        optimizer: its groups are the layers in order, see `layer_rates`; the rates that they were
            made with do not matter.
        stages: in their order.
        steps_per_epoch: batches in an epoch.

    Raises:
        ValueError: no stage, or no batch.
    """

    def __init__(
        self, optimizer: Optimizer, stages: Sequence[Stage], *, steps_per_epoch: int
    ) -> None:
        if not stages or steps_per_epoch < 1:
            raise ValueError(
                f"{len(stages)} stages and {steps_per_epoch} batches; give at least 1 each"
            )
        self.stages = list(stages)
        self.ends = list(accumulate(stage.epochs * steps_per_epoch for stage in stages))
        self.total_steps = self.ends[-1]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Rates of the groups at step `last_epoch`; their momenta are set on the way."""
        step = min(self.last_epoch, self.total_steps - 1)
        index = next(i for i, end in enumerate(self.ends) if step < end)
        start = self.ends[index - 1] if index else 0
        stage = self.stages[index]
        place = (step - start, self.ends[index] - start, stage.warm_up)
        for group in self.optimizer.param_groups:
            set_momentum(group, cycle(*place, start=MOMENTA[1], peak=MOMENTA[0], end=MOMENTA[1]))
        peaks = stage.peaks(len(self.optimizer.param_groups))
        return [cycle(*place, start=START * p, peak=p, end=END * p) for p in peaks]

    def state_dict(self) -> dict[str, Any]:
        """How far it is, and the plan's ends of stages; `Resume` compares the last of them."""
        return {
            "last_epoch": self.last_epoch,
            "total_steps": self.total_steps,
            "ends": self.ends,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; the rates stand in the optimizer's own state.

        Raises:
            ValueError: the stages were others.
        """
        if state["ends"] != self.ends:
            raise ValueError(
                f"the stages ended after {state['ends']} steps, now after {self.ends}; restore "
                "their epochs, or start in another output_dir"
            )
        self.last_epoch = self._step_count = state["last_epoch"]
        self._last_lr = self.get_lr()


def cycle(step: int, steps: int, warm_up: float, *, start: float, peak: float, end: float) -> float:
    """Value at a step of a cosine from `start` to `peak` and another from there to `end`.

    Args:
        step: 0 to steps - 1.
        steps: of the cycle.
        warm_up: share of the steps up to the peak.

    Example:
        >>> [round(cycle(i, 5, 0.6, start=0, peak=1, end=0), 6) for i in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    top, last = warm_up * steps - 1, steps - 1
    if step <= top:
        return cosine(start, peak, step / top if top else 1.0)
    return cosine(peak, end, (step - top) / (last - top))


def cosine(a: float, b: float, share: float) -> float:
    """From `a` at share 0 to `b` at share 1, level at both."""
    return b + (a - b) / 2 * (1 + math.cos(math.pi * share))


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set the first of Adam's betas, or SGD's momentum unless it has none."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    elif group.get("momentum"):
        group["momentum"] = momentum
