# SPDX-License-Identifier: Apache-2.0
"""What is drawn in an epoch depends on seed and epoch alone."""

import random

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms import Compose, RandGaussianNoise
from torch.utils.data import DataLoader, DistributedSampler

from medvol.training.seeding import RANK_STRIDE, EpochSeed

Draws = tuple[float, float, float, float]


def draws_in(epoch: int, *, seed: int = 5, drawn_before: int = 0) -> Draws:
    """First draw of Python, NumPy, torch and a MONAI transform after the epoch has begun."""
    noise = Compose([RandGaussianNoise(prob=1.0)])
    handler = EpochSeed(Dataset([torch.zeros(1, 2)], noise), seed=seed)
    engine = Engine(lambda *_: None)
    for _ in range(drawn_before):
        random.random(), np.random.rand(), torch.rand(1), noise(torch.zeros(1, 2))  # noqa: NPY002
    engine.state.epoch, engine.state.dataloader = epoch, None
    handler(engine)
    made = noise(torch.zeros(1, 2))
    return random.random(), np.random.rand(), float(torch.rand(1)), float(made[0, 0])  # noqa: NPY002


def test_an_epoch_draws_the_same_whatever_was_drawn_before() -> None:
    assert draws_in(3) == draws_in(3, drawn_before=4)


@pytest.mark.parametrize("other", [{"epoch": 4}, {"epoch": 3, "seed": 7}], ids=["epoch", "seed"])
def test_another_epoch_or_seed_draws_otherwise_from_every_source(other: dict[str, int]) -> None:
    assert not set(draws_in(3)) & set(draws_in(**other))


def test_processes_draw_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    first = draws_in(3)
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    assert not set(first) & set(draws_in(3))
    assert RANK_STRIDE > 100_000


def test_a_sampler_that_knows_epochs_is_told_the_epoch() -> None:
    images = Dataset([1, 2, 3, 4])
    sampler = DistributedSampler(images, num_replicas=2, rank=0)
    engine = Engine(lambda *_: None)
    EpochSeed(images).attach(engine)
    epochs: list[int] = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: epochs.append(sampler.epoch))
    engine.run(DataLoader(images, batch_size=2, sampler=sampler), max_epochs=3)
    assert epochs == [1, 2, 3]
