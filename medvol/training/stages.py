# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning in stages: what trains when, and at which rate in which layer."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..networks.layers import freeze_body, layer_groups
from .checkpoint import save_atomically


def layer_rates(network: nn.Module, lowest: float, highest: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, with rates spread geometrically over the layers.

    First layers see edges and textures, which serve new images as they are; last layers have more
    to learn. Howard and Ruder, "Universal language model fine-tuning for text classification",
    2018 (doi 10.18653/v1/P18-1031), name it discriminative fine-tuning.

    Args:
        network: its layers are those of `networks.layers.layer_groups`.
        lowest: rate of the first group, above 0.
        highest: rate of the last group, above 0.

    Returns:
        A dictionary with "params" and "lr" for each group.

    Raises:
        ValueError: a rate out of range, or a parameter that is in no group or in two.
    """
    groups = layer_groups(network)
    rates = spread(lowest, highest, len(groups))
    return [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)]


def spread(lowest: float, highest: float, count: int) -> list[float]:
    """Rates from `lowest` to `highest` in equal ratios; a single one is `highest`.

    Args:
        lowest: the first rate, above 0.
        highest: the last rate, above 0.
        count: how many, 1 or more.

    Returns:
        As many rates, above 0.

    Raises:
        ValueError: not 0 < lowest <= highest.

    Example:
        >>> spread(1.0, 4.0, 3)
        [1.0, 2.0, 4.0]
    """
    if not 0 < lowest <= highest:
        raise ValueError(
            f"lowest and highest are {(lowest, highest)}; give rates above 0, lowest not above "
            "highest"
        )
    if count == 1:
        return [highest]
    return [float(lowest * (highest / lowest) ** (i / (count - 1))) for i in range(count)]


START = 1 / 25  # of the peak rate; these four are those of torch's OneCycleLR
END = START / 1e4  # of the peak rate
MOMENTA = (0.85, 0.95)  # at the peak rate, and at both ends
WARM_UP = 0.3  # share of the steps


@dataclass(frozen=True)
class Stage:
    """Epochs of a training that have one cycle and one choice of what trains.

    Args:
        epochs: 0 or more; 0 leaves the stage out.
        highest: peak rate of the last layers, above 0.
        lowest: peak rate of the first layers, above 0; None is `highest`.
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
        if type(self.epochs) is not int or self.epochs < 0 or not 0 < self.warm_up < 1:
            raise ValueError(
                f"epochs and warm_up are {(self.epochs, self.warm_up)}; give a whole number of 0 "
                "or more, and a share between 0 and 1"
            )
        self.peaks(1)

    def peaks(self, groups: int) -> list[float]:
        """Peak rates, above 0, of so many parameter groups, from the first layers to the last."""
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
        ValueError: no stage with an epoch, or no batch.
    """

    def __init__(
        self, optimizer: Optimizer, stages: Sequence[Stage], *, steps_per_epoch: int
    ) -> None:
        epochs = sum(stage.epochs for stage in stages)
        if epochs < 1 or steps_per_epoch < 1:
            raise ValueError(
                f"{len(stages)} stages of {epochs} epochs, and {steps_per_epoch} batches; give at "
                "least 1 each"
            )
        self.stages = list(stages)
        self.ends = list(accumulate(stage.epochs * steps_per_epoch for stage in stages))
        self.total_steps = self.ends[-1]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Rates of the groups at step `last_epoch`, scalars; their momenta are set on the way."""
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
        start, peak, end: values there, in any unit.

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


class Stages:
    """Freeze and unfreeze as the stages ask for, and write the weights after each of several.

    The plan of the rates is `StagedOneCycle` with the same stages. What trains depends on the epoch
    alone, also right after a resume. The files are `stage1.pt`, `stage2.pt`, ..., plain state
    dicts; there are none where one stage alone has epochs. Attach it to the trainer before
    `Resume`.

    Args:
        network: of any kind, see `networks.layers.freeze_body`. Inside `DistributedDataParallel`
            it must have been wrapped unfrozen, and with `find_unused_parameters=True` where a
            stage is frozen.
        stages: in their order.
        folder: for the weights.
        kept: whose weights are written, see `averaging.WeightAveraging`; None for `network`.

    Raises:
        ValueError: no stage, or a network wrapped otherwise.
    """

    def __init__(
        self,
        network: nn.Module,
        stages: Sequence[Stage],
        folder: str | os.PathLike[str],
        *,
        kept: nn.Module | None = None,
    ) -> None:
        if not stages:
            raise ValueError("there is no stage; give at least 1")
        freezes = any(stage.frozen and stage.epochs for stage in stages)
        if isinstance(network, DistributedDataParallel):
            if freezes and not network.find_unused_parameters:
                raise ValueError(
                    "the network is in DistributedDataParallel, which waits for gradients of "
                    "frozen layers; give it find_unused_parameters=True"
                )
            network = network.module
        self.network = network
        self.kept = network if kept is None else kept
        self.stages = list(stages)
        self.last_epochs = list(accumulate(stage.epochs for stage in stages))
        self.several = sum(stage.epochs > 0 for stage in stages) > 1
        self.folder = Path(folder)

    def attach(self, engine: Engine) -> None:
        """Look at each epoch of a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.freeze)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def freeze(self, engine: Engine) -> None:
        """Let that train which the stage of the epoch lets train."""
        epoch = engine.state.epoch
        index = next((i for i, last in enumerate(self.last_epochs) if epoch <= last), -1)
        freeze_body(self.network, self.stages[index].frozen)
        for parameter in self.network.parameters():
            if not parameter.requires_grad:
                parameter.grad = None  # a zero would be stepped on: momentum, weight decay

    def save(self, engine: Engine) -> None:
        """Write the weights behind the last epoch of a stage.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        ends = self.several and engine.state.epoch in self.last_epochs
        if ends and idist.get_rank() == 0:
            number = self.last_epochs.index(engine.state.epoch) + 1
            save_atomically(self.kept.state_dict(), self.folder / f"stage{number}.pt")
