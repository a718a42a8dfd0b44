# SPDX-License-Identifier: Apache-2.0
"""Going on after a stop as if there had been none: checkpoints, best weights, seeds of epochs."""

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms.transform import Randomizable
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from ..errors import InputError
from ..files import replacing


class Stateful(Protocol):
    """What has a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take a state over."""


def save_atomically(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """`torch.save`, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        torch.save(state, temporary)


class Resume:
    """Write the whole state after every epoch, and go on from it when the file is there.

    The file holds the state dicts of `objects`, the epoch, the best validation figure and the
    chain's fingerprint, and loads with `torch.load(weights_only=True)`. Start the same training
    again and it continues; with another chain it refuses. With several GPUs the first process
    writes and all read. Attach it to the trainer.

    Args:
        path: checkpoint file, such as "runs/a/last.pt".
        objects: what has a state: network, optimizer, learning-rate scheduler.
        chain_fingerprint: of the transform chain, see `medvol.chains`.
        evaluator: its best figure so far is kept, so that a worse epoch after a resume does not
            take the place of the best weights.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        objects: Mapping[str, Stateful],
        *,
        chain_fingerprint: str,
        evaluator: Engine | None = None,
    ) -> None:
        self.path = Path(path)
        self.objects = {name: unwrapped(x) for name, x in objects.items()}
        self.chain_fingerprint = chain_fingerprint
        self.evaluator = evaluator

    def attach(self, engine: Engine) -> None:
        """Load when a trainer starts, and save after each of its epochs."""
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Write the file, whole or not at all.

        Raises:
            InputError: E_NOSPACE, it cannot be written.
        """
        if idist.get_rank() > 0:
            return
        state: dict[str, Any] = {name: x.state_dict() for name, x in self.objects.items()}
        state["epoch"] = engine.state.epoch
        state["chain_fingerprint"] = self.chain_fingerprint
        if self.evaluator is not None:
            state["best_metric"] = float(self.evaluator.state.best_metric)
            state["best_metric_epoch"] = int(self.evaluator.state.best_metric_epoch)
        save_atomically(state, self.path)

    def load(self, engine: Engine) -> None:
        """Go on from the file where it is there.

        Raises:
            InputError: E_BUNDLE, the training was started with another chain, plan or parts.
        """
        if not self.path.is_file():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        self._check(state)
        for name, x in self.objects.items():
            x.load_state_dict(state[name])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["epoch"] * (engine.state.epoch_length or 0)
        if self.evaluator is not None:
            self.evaluator.state.best_metric = state["best_metric"]
            self.evaluator.state.best_metric_epoch = state["best_metric_epoch"]

    def _check(self, state: Mapping[str, Any]) -> None:
        """Refuse a state of another training, before anything of it is taken over."""
        chain = state["chain_fingerprint"]
        if chain != self.chain_fingerprint:
            self._refuse(
                f"started with chain {chain}, the config now describes chain "
                f"{self.chain_fingerprint}", "Restore the chain's settings",
            )  # fmt: skip
        for name, x in self.objects.items():
            if name not in state:
                self._refuse(f"started without {name}", "Take it out of the config")
            planned, steps = getattr(x, "total_steps", None), state[name].get("total_steps")
            if planned != steps:  # OneCycleLR cannot go on beyond, or stop short of, its plan
                self._refuse(
                    f"planned for {steps} steps, the config now for {planned}",
                    "Restore epochs, batch size and data",
                )

    def _refuse(self, how: str, remedy: str) -> NoReturn:
        raise InputError(
            "E_BUNDLE", self.path, f"this training was {how}.",
            f"{remedy}, or start in another output_dir.",
        )  # fmt: skip


class BestWeights:
    """Write the network's plain state dict whenever the key metric is the best so far.

    Attach it to the evaluator.

    Args:
        path: file, such as "runs/a/model.pt".
        network: whose weights are written.
    """

    def __init__(self, path: str | os.PathLike[str], network: torch.nn.Module) -> None:
        self.path = Path(path)
        self.network = unwrapped(network)

    def attach(self, engine: Engine) -> None:
        """Look at each validation of an evaluator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if engine.state.best_metric_epoch == engine.state.epoch and idist.get_rank() == 0:
            save_atomically(self.network.state_dict(), self.path)


def unwrapped(x: Any) -> Any:
    """The network inside `DistributedDataParallel`, whose names of weights are the plain ones."""
    return x.module if isinstance(x, DistributedDataParallel) else x


RANK_STRIDE = 100_003  # a prime beyond any number of epochs, so that no two GPUs share a seed


class EpochSeed:
    """Seed every source of randomness at the start of each epoch from `seed`, epoch and rank.

    The random state then depends on the epoch alone, and an epoch that follows a resume draws the
    same patches as it would have drawn. A sampler that knows epochs (`DistributedSampler`) is set
    to the epoch. Attach it to a trainer.

    Args:
        dataset: training data whose random transforms are seeded too.
        seed: 0 to 2**31.
    """

    def __init__(self, dataset: Dataset, seed: int = 0) -> None:
        self.dataset = dataset
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Seed before each epoch of a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        seed = self.seed + engine.state.epoch + RANK_STRIDE * idist.get_rank()
        sampler = getattr(engine.state.dataloader, "sampler", None)
        if isinstance(sampler, DistributedSampler):
            sampler.set_epoch(engine.state.epoch)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - MONAI's transforms draw from the global state
        torch.manual_seed(seed)
        if isinstance(self.dataset, Randomizable):
            self.dataset.set_random_state(seed=seed)
        transform = getattr(self.dataset, "transform", None)
        if isinstance(transform, Randomizable):
            transform.set_random_state(seed=seed)
