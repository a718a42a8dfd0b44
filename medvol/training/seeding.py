# SPDX-License-Identifier: Apache-2.0
"""Seeds per epoch, so that a training that was stopped continues as if it had not been."""

import random

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms.transform import Randomizable


class EpochSeed:
    """Seed every source of randomness at the start of each epoch with `seed` + epoch number.

    The random state then depends on the epoch alone, and an epoch that follows a resume draws the
    same patches as it would have drawn. Attach it to a trainer.

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
        seed = self.seed + engine.state.epoch
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - MONAI's transforms draw from the global state
        torch.manual_seed(seed)
        if isinstance(self.dataset, Randomizable):
            self.dataset.set_random_state(seed=seed)
        transform = getattr(self.dataset, "transform", None)
        if isinstance(transform, Randomizable):
            transform.set_random_state(seed=seed)
