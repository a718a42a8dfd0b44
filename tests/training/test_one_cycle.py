# SPDX-License-Identifier: Apache-2.0
"""The plan of the rates: one stage is torch's OneCycleLR, several follow each other."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from medvol.training.one_cycle import Stage, StagedOneCycle, cycle


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
    for settings in ({"epochs": 0}, {"warm_up": 0.0}, {"warm_up": 1.0}):
        with pytest.raises(ValueError, match="give 1 epoch or more"):
            Stage(**{"epochs": 1, "highest": 0.1, **settings})
    with pytest.raises(ValueError, match="give rates above 0"):
        Stage(1, 0.1, lowest=0.2)
    with pytest.raises(ValueError, match="0 stages and 3 batches"):
        StagedOneCycle(optimizer(), [], steps_per_epoch=3)
