# SPDX-License-Identifier: Apache-2.0
"""A look at the batches of a training, and at when it validates, before the first epoch."""

import copy
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.utils.enums import CommonKeys
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.utils.data import DataLoader

from ..errors import InputError
from ..networks.synchronised import SynchronisedBatchNorm
from .checkpoint import unwrapped

SYNCHRONISED = (SyncBatchNorm, SynchronisedBatchNorm)  # over the batch of all processes
TOO_FEW = "Expected more than 1 value per channel"  # torch, of batch normalisation


class CheckBatches:
    """Refuse a training without a batch, or with a batch that batch normalisation cannot take.

    A batch of one image can leave it a single value a channel, which fails in the middle of an
    epoch. So the first image goes through a copy of the network, where there is such a batch.
    Attach it to the trainer.

    Args:
        network: that is trained.
        dataloader: of the training.
    """

    def __init__(self, network: torch.nn.Module, dataloader: DataLoader[Any]) -> None:
        self.network = unwrapped(network)
        self.dataloader = dataloader

    def attach(self, _: Engine) -> None:
        """Look at the batches.

        Raises:
            InputError: E_BUNDLE, no batch, or one of one image that cannot be normalised.
        """
        loader, size = self.dataloader, self.dataloader.batch_size
        if size is None:
            return
        images = len(loader.sampler)  # type: ignore[arg-type]
        if len(loader) == 0:
            raise _refused(f"{images} images give no whole batch of {size}")
        last = images % size or size
        if (size == 1 or (last == 1 and not loader.drop_last)) and not self._takes_one():
            raise _refused(
                f"{images} images in batches of {size} leave a batch of one, and batch "
                "normalisation needs more than one value a channel"
            )

    def _takes_one(self) -> bool:
        """Whether the network trains on a batch of the first image alone."""
        norms = [m for m in self.network.modules() if isinstance(m, _BatchNorm)]
        if not norms or any(isinstance(m, SYNCHRONISED) for m in norms):
            return True
        batch = self.dataloader.collate_fn([self.dataloader.dataset[0]])
        device = next(self.network.parameters()).device
        with torch.random.fork_rng(), torch.no_grad():
            try:
                copy.deepcopy(self.network).train()(batch[CommonKeys.IMAGE].to(device))
            except ValueError as error:
                return TOO_FEW not in str(error)
        return True


def _refused(reason: str) -> InputError:
    remedy = "Give another batch_size, or more images."
    return InputError("E_BUNDLE", "--batch_size", f"{reason}.", remedy)


class Validation:
    """Validate after every so many epochs, and after the last. Attach it to the trainer.

    MONAI's `ValidationHandler` leaves the last epoch out unless the interval meets it, so a
    training with a longer interval has no figure and no best weights.

    Args:
        validator: MONAI evaluator that is run.
        interval: epochs, 1 or more; None never validates.

    Raises:
        ValueError: the interval is not a whole number of 1 or more.
    """

    def __init__(self, validator: Any, interval: int | None) -> None:
        if interval is not None and (type(interval) is not int or interval < 1):
            raise ValueError(f"interval is {interval!r}; give 1 or more epochs, or None")
        self.validator = validator
        self.interval = interval

    def attach(self, engine: Engine) -> None:
        """Look at each epoch of a trainer.

        Raises:
            InputError: E_BUNDLE, some of several processes would have nothing to validate, and the
                others would wait for their figures for ever.
        """
        ranks = idist.get_world_size()
        if self.interval and ranks > 1:
            cases = len(self.validator.data_loader.dataset)
            if cases < ranks:
                reason = f"{ranks} processes cannot share {cases} images of the validation."
                remedy = "Give fewer processes, or val_interval=None for none."
                raise InputError("E_BUNDLE", "--val_interval", reason, remedy)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        if self.interval and (epoch % self.interval == 0 or epoch == engine.state.max_epochs):
            self.validator.run(epoch)
