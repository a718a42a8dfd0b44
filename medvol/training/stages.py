# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning in stages as one run: first the head alone, then everything."""

import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch.nn.parallel import DistributedDataParallel

from .checkpoint import save_atomically
from .one_cycle import Stage


class Stages:
    """Freeze and unfreeze as the stages ask for, and write the weights after each stage.

    The plan of the rates is `StagedOneCycle` with the same stages. What trains depends on the epoch
    alone, also right after a resume. The files are `stage1.pt`, `stage2.pt`, ..., plain state
    dicts. Attach it to the trainer before `Resume`.

    Args:
        network: with `freeze_body`, such as `ResidualClassifier`. Inside `DistributedDataParallel`
            it must have been wrapped unfrozen, with `find_unused_parameters=True`.
        stages: in their order.
        folder: for the weights.

    Raises:
        ValueError: no stage, a network that cannot be frozen, or one wrapped otherwise.
    """

    def __init__(
        self, network: Any, stages: Sequence[Stage], folder: str | os.PathLike[str]
    ) -> None:
        if isinstance(network, DistributedDataParallel):
            if not network.find_unused_parameters:
                raise ValueError(
                    "the network is in DistributedDataParallel, which waits for gradients of "
                    "frozen layers; give it find_unused_parameters=True"
                )
            network = network.module
        if not stages:
            raise ValueError("there is no stage; give at least 1")
        if not hasattr(network, "freeze_body"):
            raise ValueError(
                f"{type(network).__name__} has no freeze_body; give a network with body and head"
            )
        self.network = network
        self.stages = list(stages)
        self.last_epochs = list(accumulate(stage.epochs for stage in stages))
        self.folder = Path(folder)

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.freeze)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def freeze(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        index = next((i for i, last in enumerate(self.last_epochs) if epoch <= last), -1)
        self.network.freeze_body(self.stages[index].frozen)
        for parameter in self.network.parameters():
            if not parameter.requires_grad:
                parameter.grad = None  # a zero would be stepped on: momentum, weight decay

    def save(self, engine: Engine) -> None:
        if engine.state.epoch in self.last_epochs and idist.get_rank() == 0:
            number = self.last_epochs.index(engine.state.epoch) + 1
            save_atomically(self.network.state_dict(), self.folder / f"stage{number}.pt")
