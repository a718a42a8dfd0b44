# SPDX-License-Identifier: Apache-2.0
"""Seeds per epoch, so that a training that was stopped continues as if it had not been."""

import random

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms.transform import Randomizable
from torch.utils.data import DistributedSampler

RANK_STRIDE = 100_003  # a prime beyond any number of epochs, so that no two GPUs share a seed


class EpochSeed:
    """Seed every source of randomness at the start of each epoch from `seed`, epoch and rank.

    The random state then depends on the epoch alone, and an epoch that follows a resume draws the
    same patches as it would have drawn. A sampler that knows epochs (`DistributedSampler`) is told
    the epoch. Attach it to a trainer.

    Args:
        dataset: training data whose random transforms are seeded too.
        seed: 0 to 2**31.
    """

    def __init__(self, dataset: Dataset, seed: int = 0) -> None:
        self.dataset = dataset
        self.seed = seed

    def attach(self, engine: Engine) -> None:
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
