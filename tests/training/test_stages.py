# SPDX-License-Identifier: Apache-2.0
"""Two-stage fine-tuning of a classifier: it learns, and killed anywhere it ends the same."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from small_classes import BATCHES, STAGES, classifier, make_classes_training
from small_training import StopAt
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from medvol.errors import InputError
from medvol.training.curves import read_curves
from medvol.training.stages import Stage, StagedOneCycle, Stages, cycle, layer_rates, spread

EPOCHS = sum(stage.epochs for stage in STAGES)


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training; `test_curves` looks at the picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvol.training.curves.draw_curves", lambda _: None)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-one-go")
    make_classes_training(folder).run()
    return folder


def test_tiny_classes_are_learned(uninterrupted: Path) -> None:
    points = read_curves(uninterrupted / "curves.csv")
    accuracies = [p.value for p in points if p.name == "accuracy"]
    assert max(accuracies) == 1
    assert accuracies[0] < 1
    assert load(uninterrupted / "last.pt")["best_metric"] == 1
    names = [p.name for p in points if p.epoch == 1]
    assert names == [
        "accuracy", "auc", "balanced_accuracy", "log_likelihood", "train_loss", "learning_rate",
    ]  # fmt: skip


def test_stage_1_trains_the_head_alone_and_stage_2_everything(uninterrupted: Path) -> None:
    start = classifier().state_dict()
    first, second = (load(uninterrupted / f"stage{n}.pt") for n in (1, 2))
    body = [name for name in start if name.startswith("body.")]
    assert all(torch.equal(first[name], start[name]) for name in body)  # batch statistics as well
    assert not torch.equal(first["head.1.weight"], start["head.1.weight"])
    for name in (name for name in body if not name.endswith("num_batches_tracked")):
        assert not torch.equal(second[name], first[name]), name
    assert list(second) == list(start)


STOPS = {
    "within epoch 2": StopAt(Events.ITERATION_COMPLETED, 2),
    "after epoch 2, the last of stage 1": StopAt(Events.EPOCH_COMPLETED, 2),
    "within epoch 3, the first of stage 2": StopAt(Events.ITERATION_COMPLETED, 3),
    "after epoch 6, the last": StopAt(Events.EPOCH_COMPLETED, 6),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_killed_anywhere_and_continued_is_as_one_run(
    stop: StopAt, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_classes_training(tmp_path, before_resume=[stop]).run()
    assert load(tmp_path / "last.pt")["epoch"] == stop.epoch - 1
    resumed = make_classes_training(tmp_path, first_weights=99)
    resumed.run()
    assert resumed.state.iteration == EPOCHS * BATCHES
    curves = [(folder / "curves.csv").read_bytes() for folder in (tmp_path, uninterrupted)]
    assert curves[0] == curves[1]
    for name in ("model.pt", "stage1.pt", "stage2.pt"):
        torch.testing.assert_close(
            load(tmp_path / name), load(uninterrupted / name), rtol=0, atol=0
        )


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(
    uninterrupted: Path, tmp_path: Path
) -> None:
    make_classes_training(tmp_path / "same").run()
    make_classes_training(tmp_path / "other", seed=4).run()
    whole, same, other = (
        (folder / "curves.csv").read_bytes()
        for folder in (uninterrupted, tmp_path / "same", tmp_path / "other")
    )
    assert same == whole
    assert other != whole


def test_early_stopping_outlives_a_kill(tmp_path: Path) -> None:
    """At 100 % nothing can become better, so it ends before the last epoch."""
    long = [Stage(12, 0.02)]
    whole = make_classes_training(tmp_path / "whole", stages=long, patience=2)
    whole.run()
    last = whole.state.epoch
    assert 3 <= last < 12
    stop = StopAt(Events.EPOCH_COMPLETED, last)
    with pytest.raises(KeyboardInterrupt):
        make_classes_training(
            tmp_path / "parts", stages=long, patience=2, before_resume=[stop]
        ).run()
    parts = make_classes_training(tmp_path / "parts", stages=long, patience=2)
    parts.run()
    assert parts.state.epoch == last
    curves = [(tmp_path / name / "curves.csv").read_bytes() for name in ("whole", "parts")]
    assert curves[0] == curves[1]
    again = make_classes_training(tmp_path / "parts", stages=long, patience=2)
    again.run()
    assert (again.state.epoch, again.state.iteration) == (last, last * BATCHES)
    assert (tmp_path / "parts" / "curves.csv").read_bytes() == curves[0]


def test_what_is_frozen_again_stands_still(tmp_path: Path) -> None:
    """Gradients of zero would still be stepped on, by momentum and weight decay."""
    stages = [Stage(1, 0.01), Stage(1, 0.01, frozen=True)]
    make_classes_training(tmp_path, stages=stages).run()
    first, second = (load(tmp_path / f"stage{n}.pt") for n in (1, 2))
    for name in first:
        assert torch.equal(first[name], second[name]) == name.startswith("body."), name


def test_a_checkpoint_without_an_object_of_the_config_is_refused(tmp_path: Path) -> None:
    trainer = make_classes_training(tmp_path, stages=[Stage(1, 0.01)])
    trainer.run()
    state = load(tmp_path / "last.pt")
    del state["early_stop"]
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError, match="started with no early_stop, now with it") as caught:
        make_classes_training(tmp_path, stages=[Stage(1, 0.01)]).run()
    assert caught.value.code == "E_CHANGED"


def test_class_weights_are_in_the_loss(tmp_path: Path) -> None:
    weight = make_classes_training(tmp_path).loss_function.weight
    assert weight.tolist() == pytest.approx([18 / (3 * n) for n in (8, 6, 4)])


def test_no_stage_and_a_wrapper_that_waits_for_frozen_layers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no stage"):
        Stages(classifier(), [], tmp_path)
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module, wrapped.find_unused_parameters = classifier(), False
    with pytest.raises(ValueError, match="find_unused_parameters=True"):
        Stages(wrapped, STAGES, tmp_path)
    assert Stages(wrapped, STAGES[1:], tmp_path).network is wrapped.module
    assert Stages(wrapped, [Stage(0, 0.1, frozen=True), Stage(1, 0.1)], tmp_path).several is False
    wrapped.find_unused_parameters = True
    assert Stages(wrapped, STAGES, tmp_path).network is wrapped.module


def test_rates_in_the_curves_are_those_of_the_head(uninterrupted: Path) -> None:
    points = read_curves(uninterrupted / "curves.csv")
    rates = [p.value for p in points if p.name == "learning_rate"]
    # after the last step of stage 1 the rate is the first of stage 2: its peak / 25
    assert rates[1] == pytest.approx(0.02 / 25)
    # 12 steps with the peak at 0.3 x 12 - 1 = 2.6; after 6 of them at (6 - 2.6) / (11 - 2.6)
    share = (6 - 2.6) / (11 - 2.6)
    low = 0.02 / 25e4
    assert rates[3] == pytest.approx(low + (0.02 - low) / 2 * (1 + math.cos(math.pi * share)))


def test_rates_grow_in_equal_ratios_from_stem_to_head() -> None:
    network = classifier()
    groups = layer_rates(network, 1e-6, 1e-1)
    rates = [group["lr"] for group in groups]
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert groups[0]["params"][0] is network.body.conv1.weight
    assert groups[-1]["params"][-1] is network.head[-1].bias
    optimizer = torch.optim.AdamW(groups)
    given = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert given == sum(p.numel() for p in network.parameters())


def test_equal_ends_give_equal_rates() -> None:
    assert {group["lr"] for group in layer_rates(classifier(), 0.003, 0.003)} == {0.003}


def test_a_single_group_has_the_highest() -> None:
    assert spread(1e-6, 1e-4, 1) == [1e-4]
    assert spread(1.0, 100.0, 3) == pytest.approx([1, 10, 100])


@pytest.mark.parametrize("rates", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_rates_out_of_range_are_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="give rates above 0"):
        spread(*rates, 3)


def test_a_parameter_without_place_or_with_two_is_refused() -> None:
    class Forgets(nn.Linear):
        def layer_groups(self) -> list[list[nn.Parameter]]:
            return [[self.weight]]

    class Doubles(nn.Linear):
        def layer_groups(self) -> list[list[nn.Parameter]]:
            return [[self.weight, self.bias], [self.bias]]

    for network in (Forgets(2, 2), Doubles(2, 2)):
        with pytest.raises(ValueError, match=f"{type(network).__name__}.*each parameter once"):
            layer_rates(network, 1e-3, 1e-2)


def optimizer(kind: str = "adam", groups: int = 1) -> torch.optim.Optimizer:
    parameters = [{"params": [nn.Parameter(torch.ones(1))]} for _ in range(groups)]
    if kind == "adam":
        return torch.optim.AdamW(parameters, lr=0.5)
    return torch.optim.SGD(parameters, lr=0.5, momentum=0.9 if kind == "momentum" else 0)


def plan(scheduler: LRScheduler, steps: int) -> list[list[Any]]:
    """Rates and momenta of every group at every step."""
    seen = []
    for _ in range(steps):
        groups = scheduler.optimizer.param_groups
        seen.append([(g["lr"], g.get("betas", g.get("momentum"))) for g in groups])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("kind", ["adam", "momentum"])
@pytest.mark.parametrize("warm_up", [0.3, 0.2, 0.9])
def test_one_stage_is_the_one_cycle_of_torch(kind: str, warm_up: float) -> None:
    ours, theirs = optimizer(kind), optimizer(kind)
    stage = Stage(4, 0.1, warm_up=warm_up)
    own = plan(StagedOneCycle(ours, [stage], steps_per_epoch=6), 24)
    theirs_plan = plan(OneCycleLR(theirs, max_lr=0.1, total_steps=24, pct_start=warm_up), 24)
    for (own_step,), (their_step,) in zip(own, theirs_plan, strict=True):
        assert own_step[0] == pytest.approx(their_step[0], rel=1e-9)
        assert own_step[1] == pytest.approx(their_step[1], rel=1e-9)


def test_plain_descent_keeps_no_momentum() -> None:
    sgd = optimizer("plain")
    plan(StagedOneCycle(sgd, [Stage(1, 0.1)], steps_per_epoch=3), 2)
    assert sgd.param_groups[0]["momentum"] == 0


def test_stages_follow_each_other_with_rates_of_their_own() -> None:
    """Peaks by hand: stage 1 of 5 steps at step 2, stage 2 of 10 steps at 5 + 2 and over 3 groups.

    With a warm-up of 0.6 the peak of 5 steps is at 0.6 x 5 - 1 = 2; with 0.3 of 10 at 2 again.
    """
    stages = [Stage(1, 0.3, warm_up=0.6), Stage(2, 0.1, lowest=0.001, warm_up=0.3)]
    scheduler = StagedOneCycle(optimizer(groups=3), stages, steps_per_epoch=5)
    assert (scheduler.ends, scheduler.total_steps) == ([5, 15], 15)
    rates = [[lr for lr, _ in step] for step in plan(scheduler, 15)]
    assert rates[0] == pytest.approx([0.3 / 25] * 3)
    assert rates[2] == pytest.approx([0.3] * 3)
    assert rates[4] == pytest.approx([0.3 / 25e4] * 3)
    assert rates[5] == pytest.approx([0.001 / 25, 0.01 / 25, 0.1 / 25])
    assert rates[7] == pytest.approx([0.001, 0.01, 0.1])
    assert rates[14] == pytest.approx([0.001 / 25e4, 0.01 / 25e4, 0.1 / 25e4])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stage_of_no_epochs_is_left_out(place: int) -> None:
    stages = [Stage(1, 0.3, warm_up=0.6), Stage(2, 0.1, lowest=0.001)]
    whole = plan(StagedOneCycle(optimizer(groups=3), stages, steps_per_epoch=5), 15)
    stages.insert(place, Stage(0, 0.7, frozen=True))
    assert plan(StagedOneCycle(optimizer(groups=3), stages, steps_per_epoch=5), 15) == whole


def test_no_epochs_of_the_head_begin_with_all_layers(tmp_path: Path) -> None:
    stages = [Stage(0, 0.01, frozen=True), Stage(1, 0.02)]
    start = {n: x.clone() for n, x in classifier().state_dict().items()}
    trainer = make_classes_training(tmp_path, stages=stages)
    trainer.run()
    assert trainer.state.epoch == 1
    state = load(tmp_path / "last.pt")["network"]
    assert not torch.equal(state["body.conv1.weight"], start["body.conv1.weight"])
    assert not [*tmp_path.glob("stage*.pt")]  # last.pt holds the same


def test_the_last_step_is_stepped_over_quietly() -> None:
    scheduler = StagedOneCycle(optimizer(), [Stage(1, 0.1)], steps_per_epoch=4)
    plan(scheduler, 6)
    assert scheduler.get_last_lr() == pytest.approx([0.1 / 25e4])


def test_a_cycle_whose_peak_is_its_first_step() -> None:
    assert cycle(0, 4, 0.25, start=0.0, peak=1.0, end=0.0) == 1
    assert cycle(3, 4, 0.25, start=0.0, peak=1.0, end=0.0) == 0


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_a_plan_goes_on_from_its_state(stop: int) -> None:
    stages = [Stage(1, 0.3), Stage(2, 0.1)]

    def make() -> StagedOneCycle:
        return StagedOneCycle(optimizer(), stages, steps_per_epoch=4)

    whole = plan(make(), 12)
    first = make()
    start = plan(first, stop)
    second = make()
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert second.get_last_lr() == pytest.approx(first.get_last_lr())
    assert start + plan(second, 12 - stop) == whole


def test_other_stages_are_refused_on_going_on() -> None:
    first = StagedOneCycle(optimizer(), [Stage(1, 0.3), Stage(2, 0.1)], steps_per_epoch=4)
    other = StagedOneCycle(optimizer(), [Stage(2, 0.3), Stage(1, 0.1)], steps_per_epoch=4)
    with pytest.raises(ValueError, match=r"ended after \[4, 12\] steps, now after \[8, 12\]"):
        other.load_state_dict(first.state_dict())


def test_arguments_out_of_range_are_refused() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"epochs": -1}, {"epochs": 2.0}, {"epochs": "2"}, {"warm_up": 0.0}, {"warm_up": 1.0},
    )  # fmt: skip
    for settings in wrong:
        with pytest.raises(ValueError, match="give a whole number of 0 or more"):
            Stage(**{"epochs": 1, "highest": 0.1, **settings})
    with pytest.raises(ValueError, match="give rates above 0"):
        Stage(1, 0.1, lowest=0.2)
    with pytest.raises(ValueError, match="0 stages of 0 epochs, and 3 batches"):
        StagedOneCycle(optimizer(), [], steps_per_epoch=3)
    with pytest.raises(ValueError, match="2 stages of 0 epochs, and 3 batches"):
        StagedOneCycle(optimizer(), [Stage(0, 0.1)] * 2, steps_per_epoch=3)
    with pytest.raises(ValueError, match="1 stages of 1 epochs, and 0 batches"):
        StagedOneCycle(optimizer(), [Stage(1, 0.1)], steps_per_epoch=0)
