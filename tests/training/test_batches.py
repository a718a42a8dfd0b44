# SPDX-License-Identifier: Apache-2.0
"""Batches that cannot be trained on are refused at once; the last epoch is validated."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader
from refusals import refused_by
from torch import nn

from medvol.networks.residual_classifier import ResidualClassifier
from medvol.networks.synchronised import synchronised
from medvol.training.batches import CheckBatches, Validation


def loader(images: int, batch: int, *, size: int = 32, drop_last: bool = False) -> DataLoader:
    items = [{"image": torch.rand(1, size, size), "label": 0} for _ in range(images)]
    return DataLoader(items, batch_size=batch, drop_last=drop_last)


def network(**options: Any) -> ResidualClassifier:
    torch.manual_seed(0)
    return ResidualClassifier(1, 2, width=4, **options)


def check(made: nn.Module, batches: DataLoader) -> None:
    CheckBatches(made, batches).attach(Engine(lambda *_: None))


@pytest.mark.parametrize(
    ("images", "batch"), [(9, 4), (1, 4), (3, 1)], ids=["a last one", "a single one", "each"]
)
def test_a_batch_of_one_that_cannot_be_normalised_is_refused(images: int, batch: int) -> None:
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        made.train()(torch.rand(1, 1, 32, 32))
    made.load_state_dict(before)
    error = refused_by(lambda: check(made, loader(images, batch)), "E_BUNDLE")
    assert f"{images} images in batches of {batch} leave a batch of one" in error.reason
    assert "batch_size" in error.path
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize(
    ("made", "batches"),
    [
        (network(), loader(8, 4)),
        (network(), loader(10, 4)),  # a last batch of two
        (network(), loader(9, 4, drop_last=True)),
        (network(), loader(9, 4, size=64)),  # 2 x 2 values a channel in the deepest layer
        (network().freeze_body(), loader(9, 4)),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2)), loader(9, 4)),
    ],
    ids=["none", "of two", "dropped", "larger images", "frozen", "another norm"],
)
def test_batches_that_can_be_trained_on(made: nn.Module, batches: DataLoader) -> None:
    before = torch.random.get_rng_state()
    check(made, batches)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_batch_is_refused() -> None:
    few = loader(3, 4, drop_last=True)
    reason = refused_by(lambda: check(network(), few), "E_BUNDLE").reason
    assert reason == "3 images give no whole batch of 4."


def validated(interval: int | None, epochs: int, *, stop_after: int | None = None) -> list[int]:
    trainer, validator = Engine(lambda *_: None), Engine(lambda *_: None)
    found: list[int] = []
    validator.add_event_handler(Events.COMPLETED, lambda: found.append(trainer.state.epoch))
    validator.run = lambda epoch: found.append(epoch)  # type: ignore[method-assign, assignment]
    Validation(validator, interval).attach(trainer)
    if stop_after is not None:
        trainer.add_event_handler(
            Events.EPOCH_COMPLETED(once=stop_after), lambda: trainer.terminate()
        )
    trainer.run([0], max_epochs=epochs)
    return found


def test_the_last_epoch_is_validated_whatever_the_interval() -> None:
    assert validated(1, 3) == [1, 2, 3]
    assert validated(2, 5) == [2, 4, 5]
    assert validated(2, 4) == [2, 4]
    assert validated(1000, 3) == [3]
    assert validated(None, 3) == []
    assert validated(2, 9, stop_after=3) == [2]


@pytest.mark.parametrize("interval", [0, -1, 1.5, "2", True])
def test_intervals_that_are_none(interval: Any) -> None:
    with pytest.raises(ValueError, match="give 1 or more epochs, or None"):
        Validation(Engine(lambda *_: None), interval)


def test_more_processes_than_images_to_validate_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validator = SimpleNamespace(data_loader=loader(2, 1))
    for ranks in (1, 2, 3):
        monkeypatch.setattr("ignite.distributed.get_world_size", lambda ranks=ranks: ranks)
        Validation(validator, None).attach(Engine(lambda *_: None))
        if ranks < 3:
            Validation(validator, 1).attach(Engine(lambda *_: None))
    reason = refused_by(
        lambda: Validation(validator, 1).attach(Engine(lambda *_: None)), "E_BUNDLE"
    ).reason
    assert reason == "3 processes cannot share 2 images of the validation."


def test_a_batch_of_one_is_right_where_processes_normalise_together() -> None:
    check(synchronised(network()), loader(3, 1))
