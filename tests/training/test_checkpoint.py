# SPDX-License-Identifier: Apache-2.0
"""A training that was stopped and resumed ends as if it had not been; best weights stay best."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms import Compose, RandGaussianNoise
from refusals import refused_by
from small_training import BATCHES, CHAIN, EPOCHS, StopAt, make_training, toy_network
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler

from medvol.errors import InputError
from medvol.networks.weights import record_in
from medvol.trained import Trained
from medvol.training.checkpoint import (
    RANK_STRIDE,
    BestWeights,
    EpochSeed,
    Resume,
    read_checkpoint,
    save_atomically,
)
from medvol.training.curves import read_curves


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def assert_equal_states(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training; `test_curves` looks at the picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.training.curves.draw_curves", lambda _: None)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-one-go")
    make_training(folder).run()
    return folder


STOPS = {
    "planned end of epoch 2": None,
    "within epoch 3": StopAt(Events.ITERATION_COMPLETED, 3),
    "curves of epoch 3 written, its checkpoint not": StopAt(Events.EPOCH_COMPLETED, 3),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_two_epochs_and_a_resume_equal_four_epochs(
    stop: StopAt | None, uninterrupted: Path, tmp_path: Path
) -> None:
    if stop is None:
        make_training(tmp_path, epochs=2).run()
    else:
        with pytest.raises(KeyboardInterrupt):
            make_training(tmp_path, before_resume=[stop]).run()
    assert load(tmp_path / "last.pt")["epoch"] == 2
    resumed = make_training(tmp_path, first_weights=99)
    resumed.run()
    assert (resumed.state.epoch, resumed.state.iteration) == (EPOCHS, EPOCHS * BATCHES)
    ends = load(tmp_path / "last.pt"), load(uninterrupted / "last.pt")
    assert ends[0]["epoch"] == EPOCHS
    assert_equal_states(ends[0]["network"], ends[1]["network"])
    assert ends[0]["lr_scheduler"]["last_epoch"] == EPOCHS * BATCHES
    curves = [(folder / "curves.csv").read_bytes() for folder in (tmp_path, uninterrupted)]
    assert curves[0] == curves[1]
    assert_equal_states(load(tmp_path / "model.pt"), load(uninterrupted / "model.pt"))


def test_the_training_learns_and_depends_on_its_first_weights(
    uninterrupted: Path, tmp_path: Path
) -> None:
    """Else equal ends would prove nothing."""
    make_training(tmp_path, first_weights=1).run()
    weights = [load(f / "last.pt")["network"]["0.weight"] for f in (tmp_path, uninterrupted)]
    assert not torch.equal(*weights)
    losses = [p.value for p in read_curves(uninterrupted / "curves.csv") if p.name == "train_loss"]
    assert losses[-1] < losses[0]


def test_a_finished_training_is_left_as_it_is(tmp_path: Path) -> None:
    make_training(tmp_path, epochs=2).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_training(tmp_path, first_weights=99, epochs=2).run()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"curves.csv", "last.pt", "model.pt"}
    assert before == after


def test_best_weights_outlive_worse_epochs_after_a_resume(tmp_path: Path) -> None:
    figures = {1: 0.3, 2: 0.8, 3: 0.5, 4: 0.7}
    make_training(tmp_path, epochs=2, score=figures.get).run()
    best = load(tmp_path / "model.pt")
    make_training(tmp_path, first_weights=99, score=figures.get).run()
    state = load(tmp_path / "last.pt")
    assert (state["best_metric"], state["best_metric_epoch"]) == (pytest.approx(0.8), 2)
    assert_equal_states(load(tmp_path / "model.pt"), best)
    assert not torch.equal(best["0.weight"], state["network"]["0.weight"])


def test_a_better_epoch_after_a_resume_takes_the_place_of_the_best(tmp_path: Path) -> None:
    figures = {1: 0.3, 2: 0.8, 3: 0.5, 4: 0.9}
    make_training(tmp_path, epochs=2, score=figures.get).run()
    make_training(tmp_path, first_weights=99, score=figures.get).run()
    state = load(tmp_path / "last.pt")
    assert (state["best_metric"], state["best_metric_epoch"]) == (pytest.approx(0.9), 4)
    assert_equal_states(load(tmp_path / "model.pt"), state["network"])


def test_another_chain_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    make_training(tmp_path, epochs=1).run()
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(InputError) as caught:
        make_training(tmp_path, chain="f" * 16).run()
    assert (caught.value.code, caught.value.path) == ("E_CHANGED", os.fspath(tmp_path / "last.pt"))
    assert CHAIN in caught.value.reason
    assert "f" * 16 in caught.value.reason
    assert "another output_dir" in caught.value.remedy
    assert (tmp_path / "last.pt").read_bytes() == before


def test_another_plan_of_the_learning_rate_is_refused(tmp_path: Path) -> None:
    make_training(tmp_path, epochs=1).run()
    with pytest.raises(InputError, match=f"a plan of {EPOCHS * BATCHES} steps") as caught:
        make_training(tmp_path, planned=EPOCHS + 1).run()
    assert caught.value.code == "E_CHANGED"
    assert f"now {(EPOCHS + 1) * BATCHES}." in caught.value.reason


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "of zero bytes": lambda _: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "cut by a byte": lambda whole: whole[:-1],
    "with NULs for its first half": lambda whole: bytes(len(whole) // 2) + whole[len(whole) // 2 :],
    "all NULs": lambda whole: bytes(len(whole)),
    "a text": lambda _: b"version https://git-lfs.github.com/spec/v1",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    damage: Callable[[bytes], bytes], uninterrupted: Path, tmp_path: Path
) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(damage((uninterrupted / "last.pt").read_bytes()))
    error = refused_by(lambda: make_training(tmp_path).run(), "E_CORRUPT")
    assert error.path == os.fspath(path)
    assert "cut or damaged" in error.reason
    assert "--fresh" in error.remedy


def test_another_network_is_refused_in_one_line(uninterrupted: Path, tmp_path: Path) -> None:
    state = load(uninterrupted / "last.pt")
    state["network"]["4.weight"] = state["network"].pop("2.weight")
    torch.save(state, tmp_path / "last.pt")
    reason = refused_by(lambda: make_training(tmp_path).run(), "E_CHANGED").reason
    assert "another network: 1 of 4 weights is missing (2.weight), 1 is unexpected" in reason


def test_a_file_of_weights_is_not_a_checkpoint(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copy(uninterrupted / "model.pt", tmp_path / "last.pt")
    error = refused_by(lambda: make_training(tmp_path).run(), "E_CORRUPT")
    assert "not the checkpoint of a training" in error.reason
    refused_by(lambda: read_checkpoint(tmp_path), "E_PATH")


def test_best_weights_are_a_plain_state_dict(uninterrupted: Path) -> None:
    state = load(uninterrupted / "model.pt")
    assert sorted(state) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    toy_network().load_state_dict(state)


def test_classes_in_another_order_are_refused_when_a_training_goes_on(tmp_path: Path) -> None:
    path, engine = tmp_path / "last.pt", Engine(lambda *_: None)

    def resume(*names: str) -> Resume:
        objects = {"network": torch.nn.Linear(2, 2)}
        return Resume(path, objects, chain_fingerprint=CHAIN, names=names)

    resume("no_covid", "covid").save(engine)
    resume("No COVID", "covid").attach(engine)
    resume().attach(engine)
    error = refused_by(lambda: resume("covid", "no_covid").attach(engine), "E_LABELS")
    assert (error.path, error.reason) == (
        str(path), "these weights were trained for no_covid, covid, not for covid, no_covid."
    )  # fmt: skip


def test_best_weights_carry_what_they_are_trained_for(tmp_path: Path) -> None:
    engine = Engine(lambda *_: None)
    engine.state.best_metric_epoch = engine.state.epoch = 1
    names, said = ["none", "lesion"], {"chain_fingerprint": CHAIN, "task": "slices"}
    BestWeights(tmp_path / "model.pt", torch.nn.Linear(2, 2), names, **said)(engine)
    assert record_in(tmp_path / "model.pt") == Trained(("none", "lesion"), CHAIN, "slices")


def test_a_checkpoint_says_what_it_is_trained_for(tmp_path: Path) -> None:
    engine = Engine(lambda *_: None)
    Resume(tmp_path / "last.pt", {"network": torch.nn.Linear(2, 2)}, chain_fingerprint=CHAIN,
           names=["none", "lesion"], task="slices").save(engine)  # fmt: skip
    assert record_in(tmp_path / "last.pt") == Trained(("none", "lesion"), CHAIN, "slices")


def test_best_weights_of_a_distributed_network_have_plain_names() -> None:
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = toy_network()
    assert BestWeights("model.pt", wrapped).network is wrapped.module


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"epoch": 1}, path)
    with pytest.raises(AttributeError, match="pickle"):
        save_atomically({"epoch": lambda: 2}, path)
    assert load(path) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_state_has_the_same_bytes_in_every_file(tmp_path: Path) -> None:
    files = tmp_path / "last.pt", tmp_path / "weights.pt"
    for path in files:
        save_atomically({"weight": torch.arange(4.0)}, path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_state_that_has_no_room_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "last.pt"
    save_atomically({"epoch": 1}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        refused_by(lambda: save_atomically({"weight": torch.zeros(100_000)}, path), "E_NOSPACE")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load(path) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


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


@pytest.mark.parametrize("seed", [-1, 2**31 + 1, 0.5, "1", True])
def test_seeds_out_of_range_are_refused(seed: Any) -> None:
    for right in (0, 2**31):
        EpochSeed(Dataset([]), right)
    with pytest.raises(ValueError, match=r"give a whole number from 0 to 2\*\*31"):
        EpochSeed(Dataset([]), seed)


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


def test_processes_agree_on_the_order_and_on_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    class Seeded(Dataset):
        seeds: ClassVar[list[int]] = []

        def seed_samples(self, seed: int) -> None:
            self.seeds.append(seed)

    orders = []
    for rank in range(2):
        monkeypatch.setattr("ignite.distributed.get_rank", lambda rank=rank: rank)
        images = Seeded(range(9))
        engine = Engine(lambda _, batch: orders.append(int(batch)))
        EpochSeed(images, seed=5).attach(engine)
        engine.run(DataLoader(images, shuffle=True), max_epochs=2)
    assert orders[:18] == orders[18:]
    assert orders[:9] != orders[9:18]
    assert Seeded.seeds == [6, 7, 6, 7]
