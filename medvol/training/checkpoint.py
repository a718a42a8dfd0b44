# SPDX-License-Identifier: Apache-2.0
"""Going on after a stop as if there had been none: checkpoints, best weights, seeds of epochs."""

import os
import random
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn, Protocol

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms.transform import Randomizable
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DistributedSampler

from ..bundle.settings import curve_settings, differences, in_words
from ..errors import InputError
from ..files import replacing
from ..labels import check_names
from ..networks.fit import fit_whole
from ..networks.weights import with_record
from ..trained import Trained

MOVED = {  # of an optimizer's groups: what a plan of the rates moves, so it is taken over
    True: {"params", "lr", "betas", "momentum"},
    False: {"params"},
}
RESTORE = "Restore it, take it with `--accept_changes True`"
RENEW = (
    "An earlier medvol began it, or another config: take the parts of now from the next epoch on "
    "with `--accept_changes True` (`medvol train --accept-changes`), go on with that medvol"
)


class Stateful(Protocol):
    """What has a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take a state over."""


def save_atomically(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """`torch.save`, whole or not at all; the same state gives the same bytes, wherever it lies.

    Raises:
        InputError: E_NOSPACE, the disk is full or the folder cannot be written.
    """
    # into a file torch would write its name, and of a full disk it raises no OSError
    stored = BytesIO()
    torch.save(state, stored)
    with replacing(path) as temporary:
        temporary.write_bytes(stored.getbuffer())


class Resume:
    """Write the whole state after every epoch, and go on from it when the file is there.

    The file holds the state dicts of `objects`, the epoch, the best validation figure, the chain's
    fingerprint, the names of labels or classes, and the settings that the curve depends on
    (`curve_settings`); it loads with `torch.load(weights_only=True)`. Start the same training again
    and it continues; with another chain, other names or other settings it refuses. With several
    GPUs the first process writes and all read. Attach it to the trainer.

    Args:
        path: checkpoint file, such as "runs/a/last.pt".
        objects: what has a state: network, optimizer, learning-rate scheduler.
        chain_fingerprint: of the transform chain, see `medvol.chains`.
        evaluator: its best figure so far is kept, so that a worse epoch after a resume does not
            take the place of the best weights.
        names: of the labels or classes, in the order of the network's scores.
        task: of the bundle that is trained, for the record that goes with the weights.
        accept_changes: go on with other settings, from the next epoch; of `objects`, those that the
            file does not know begin anew, unless they are network, optimizer or scheduler.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        objects: Mapping[str, Stateful],
        *,
        chain_fingerprint: str,
        evaluator: Engine | None = None,
        names: Sequence[str] = (),
        task: str = "",
        accept_changes: bool = False,
    ) -> None:
        self.path = Path(path)
        self.objects = {name: unwrapped(x) for name, x in objects.items()}
        self.chain_fingerprint = chain_fingerprint
        self.evaluator = evaluator
        self.names = list(names)
        self.task = task
        self.accept_changes = accept_changes
        self.settings = curve_settings()

    def attach(self, engine: Engine) -> None:
        """Load when a trainer starts, and save after each of its epochs.

        Raises:
            InputError: as for `load`; before anything runs.
        """
        if self.path.is_file():
            self._check(read_checkpoint(self.path))
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
        state["names"] = self.names
        state["task"] = self.task
        state["settings"] = self.settings
        if self.evaluator is not None:
            state["best_metric"] = float(self.evaluator.state.best_metric)
            state["best_metric_epoch"] = int(self.evaluator.state.best_metric_epoch)
        save_atomically(state, self.path)

    def load(self, engine: Engine) -> None:
        """Go on from the file where it is there.

        Raises:
            InputError: E_CHANGED, the training was started with another chain, other settings or
                parts; E_LABELS, with other names; E_CORRUPT, the file is damaged.
        """
        if not self.path.is_file():
            return
        state = read_checkpoint(self.path)
        self._check(state)
        for name, x in self.objects.items():
            if name in state:
                self._restore(x, state[name])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["epoch"] * (engine.state.epoch_length or 0)
        if self.evaluator is not None and "best_metric" in state:
            self.evaluator.state.best_metric = state["best_metric"]
            self.evaluator.state.best_metric_epoch = state["best_metric_epoch"]

    def _restore(self, x: Stateful, state: dict[str, Any]) -> None:
        """Take a state over; when changes are accepted, without the settings of before."""
        if self.accept_changes and isinstance(x, LRScheduler):
            x.last_epoch = x._step_count = state["last_epoch"]
            return
        groups = getattr(x, "param_groups", []) if self.accept_changes else []
        planned = any(isinstance(other, LRScheduler) for other in self.objects.values())
        own = [{k: v for k, v in group.items() if k not in MOVED[planned]} for group in groups]
        x.load_state_dict(state)
        for group, settings in zip(getattr(x, "param_groups", []), own, strict=False):
            group.update(settings)

    def _check(self, state: Mapping[str, Any]) -> None:
        """Refuse a state of another training, before anything of it is taken over."""
        check_names(self.path, state.get("names", ()), self.names)
        chain = state["chain_fingerprint"]
        before = state.get("settings") or self.settings  # of files that hold none
        changed = differences(before, self.settings) if self.settings else []
        if changed and not self.accept_changes:
            self._refuse(
                in_words(changed), RENEW if _other_parts(before, self.settings) else RESTORE
            )
        if chain != self.chain_fingerprint:
            self._refuse(
                f"chain {chain}, now {self.chain_fingerprint}", "Restore the chain's settings"
            )
        for name, x in self.objects.items():
            learnt = isinstance(x, torch.nn.Module | Optimizer | LRScheduler)
            if name not in state and (learnt or not self.accept_changes):
                self._refuse(f"no {name}, now with it", "Take it out of the config")
            if name not in state:
                continue  # it begins anew
            if isinstance(x, torch.nn.Module):
                try:
                    fit_whole(x.state_dict(), state[name])
                except ValueError as error:
                    self._refuse(f"another {name}: {error}", "Restore it")
            planned, steps = getattr(x, "total_steps", None), state[name].get("total_steps")
            if planned != steps and not self.accept_changes:
                # OneCycleLR cannot go on beyond, or stop short of, its plan
                self._refuse(
                    f"a plan of {steps} steps, now {planned}", "Restore epochs, batch size and data"
                )

    def _refuse(self, how: str, remedy: str) -> NoReturn:
        raise InputError(
            "E_CHANGED", self.path, f"this training was started with {how}.",
            f"{remedy}, or start in another output_dir.",
        )  # fmt: skip


def _other_parts(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a part of a config is another one, which nobody sets by an option."""
    parts = [name for name in {**before, **now} if name.endswith("_target_")]
    return any(before.get(name) != now.get(name) for name in parts)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `Resume` wrote, on the CPU.

    Raises:
        InputError: E_PATH, it cannot be opened; E_CORRUPT, it is cut, damaged, or something else.
    """
    try:
        open(path, "rb").close()  # what is raised behind this is about the content
    except OSError as error:
        reason = f"the checkpoint cannot be opened ({error.strerror})."
        raise InputError("E_PATH", path, reason, "Check the permissions.") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and the end of a file have no common ancestor
        raise _damaged(path, "it is cut or damaged") from error
    if not isinstance(state, dict) or not {"epoch", "chain_fingerprint"} <= set(state):
        raise _damaged(path, "it is not the checkpoint of a training")
    return state


def _damaged(path: str | os.PathLike[str], how: str) -> InputError:
    return InputError(
        "E_CORRUPT", path, f"{how}, so the training cannot go on from it.",
        "Start over: take it and curves.csv away, or give `medvol train` --fresh.",
    )  # fmt: skip


class BestWeights:
    """Write the network's plain state dict whenever the key metric is the best so far.

    Attach it to the evaluator.

    Args:
        path: file, such as "runs/a/model.pt".
        network: whose weights are written.
        names: of the labels or classes, in the order of the network's scores; they go with them,
            as what follows does.
        chain_fingerprint: of the transform chain, see `medvol.chains`.
        task: of the bundle that is trained.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        network: torch.nn.Module,
        names: Sequence[str] = (),
        *,
        chain_fingerprint: str = "",
        task: str = "",
    ) -> None:
        self.path = Path(path)
        self.network = unwrapped(network)
        self.trained = Trained(tuple(names), chain_fingerprint, task)

    def attach(self, engine: Engine) -> None:
        """Look at each validation of an evaluator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if engine.state.best_metric_epoch == engine.state.epoch and idist.get_rank() == 0:
            save_atomically(with_record(self.network.state_dict(), self.trained), self.path)


def unwrapped(x: Any) -> Any:
    """The network inside `DistributedDataParallel`, whose names of weights are the plain ones."""
    return x.module if isinstance(x, DistributedDataParallel) else x


RANK_STRIDE = 100_003  # a prime beyond any number of epochs, so that no two GPUs share a seed


class EpochSeed:
    """Seed every source of randomness at the start of each epoch from `seed`, epoch and rank.

    The random state then depends on the epoch alone, and an epoch that follows a resume draws the
    same patches as it would have drawn. The order of the items is the same on all ranks, and so is
    each sample of a dataset that can seed them (`PatchDataset`), on whichever rank it is drawn.
    Attach it to a trainer.

    Args:
        dataset: training data whose random transforms are seeded too.
        seed: 0 to 2**31.

    Raises:
        ValueError: another seed.
    """

    def __init__(self, dataset: Dataset, seed: int = 0) -> None:
        if type(seed) is not int or not 0 <= seed <= 2**31:
            raise ValueError(f"seed is {seed!r}; give a whole number from 0 to 2**31")
        self.dataset = dataset
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Seed before each epoch of a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        common = self.seed + engine.state.epoch
        seed = common + RANK_STRIDE * idist.get_rank()
        sampler = getattr(engine.state.dataloader, "sampler", None)
        if isinstance(sampler, DistributedSampler):
            sampler.set_epoch(engine.state.epoch)
        elif sampler is not None and hasattr(sampler, "generator"):
            sampler.generator = torch.Generator().manual_seed(common)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - MONAI's transforms draw from the global state
        torch.manual_seed(seed)
        if isinstance(self.dataset, Randomizable):
            self.dataset.set_random_state(seed=seed)
        transform = getattr(self.dataset, "transform", None)
        if isinstance(transform, Randomizable):
            transform.set_random_state(seed=seed)
        if hasattr(self.dataset, "seed_samples"):
            self.dataset.seed_samples(common)
