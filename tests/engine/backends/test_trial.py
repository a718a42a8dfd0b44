# SPDX-License-Identifier: Apache-2.0
"""The fastest backend that agrees is chosen; a wrong one never is, however fast."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvol.engine.backends.agreement import TOLERANCE, agrees, difference
from medvol.engine.backends.trial import NO_TIME, measure
from medvol.progress import heard_by

WINDOW = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Fake:
    """A backend that gives what a function of the windows gives, after a while."""

    settings: Mapping[str, Any] = {}
    precision = "fp32"
    batch = 1

    def __init__(self, name: str, scores: Callable[[Tensor], Any], seconds: float) -> None:
        self.name, self.scores, self.seconds = name, scores, seconds
        self.closed = False

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        time.sleep(self.seconds)
        return self.scores(windows)

    def to(self, device: Any) -> "Fake":  # noqa: ARG002
        return self

    def close(self) -> None:
        self.closed = True


def twice(windows: Tensor) -> Tensor:
    return windows * 2


class Twice(nn.Module):
    def forward(self, windows: Tensor) -> Tensor:
        return twice(windows)


USUAL = Fake("torch", twice, 0.02)
WRONG = {
    "other scores": lambda x: twice(x) + 1e-3 * twice(x).abs().max(),
    "another shape": lambda x: twice(x)[..., :-1],
    "not a number": lambda x: twice(x) * float("nan"),
}


def test_the_fastest_that_agrees_is_chosen() -> None:
    fast = Fake("fast", lambda x: twice(x) * (1 + 1e-6), 0.0)
    choice = measure(Twice(), WINDOW, {"torch": lambda: USUAL, "fast": lambda: fast})
    assert choice.backend == "fast"
    assert choice.seconds["fast"] < 0.02 <= choice.seconds["torch"]
    assert (choice.left_out, choice.shape) == ({}, (1, 4, 4))
    assert fast.closed
    assert USUAL.closed


class Endless(nn.Module):
    """Twice the windows, in layers that never come to an end unless they are ended."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.endless = Twice(), False

    def forward(self, windows: Tensor) -> Tensor:
        found = self.layer(windows)
        while self.endless:
            found = self.layer(windows)
        return found


def test_the_trial_ends_in_the_middle_of_a_network() -> None:
    """A copy of the network, as another memory format has, is ended too; without a limit it is not
    ended, and no hook stays."""
    network, heard = Endless(), []
    made: list[nn.Module] = []

    def slow() -> Fake:
        copy = deepcopy(network)
        copy.endless = True
        made.append(copy)
        return Fake("slow", copy, 0.0)

    makers = {"torch": lambda: USUAL, "slow": slow, "late": lambda: Fake("late", network, 0.0)}
    with heard_by(heard.append):
        choice = measure(network, WINDOW, makers, limit_s=0.2)
    assert choice.backend == "torch"
    assert choice.left_out == {"slow": NO_TIME, "late": NO_TIME}
    assert [*choice.seconds] == ["torch"]
    assert [step.remark.split()[3] for step in heard] == ["torch", "slow", "late"]
    made[0].endless = False
    assert torch.equal(made[0](WINDOW), twice(WINDOW))
    assert not any(x._forward_pre_hooks for x in network.modules())


def test_in_a_trial_without_time_torch_runs_one_round() -> None:
    calls: list[int] = []
    usual = Fake("torch", lambda x: calls.append(len(x)) or twice(x), 0.0)
    choice = measure(Twice(), WINDOW, {"torch": lambda: usual}, limit_s=0.0)
    assert len(calls) == 2  # that which agrees, and one that is measured
    assert choice.backend == "torch"


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_backend_is_refused_however_fast(kind: str) -> None:
    wrong = Fake("wrong", WRONG[kind], 0.0)
    choice = measure(Twice(), WINDOW, {"torch": lambda: USUAL, "wrong": lambda: wrong})
    assert choice.backend == "torch"
    assert [*choice.seconds] == ["torch"]
    assert choice.left_out["wrong"].endswith("of the largest, 0.0002 is allowed.")


def test_one_that_cannot_be_made_or_fails_is_left_out_with_the_reason() -> None:
    def unmade() -> Fake:
        raise ImportError("there is no such package")

    def fails(_: Tensor) -> Tensor:
        raise RuntimeError("an operation is unknown")

    makers = {"torch": lambda: USUAL, "a": unmade, "b": lambda: Fake("b", fails, 0.0)}
    choice = measure(Twice(), WINDOW, makers)
    assert choice.left_out == {"a": "there is no such package", "b": "an operation is unknown"}
    assert choice.backend == "torch"


def test_one_that_is_hardly_faster_is_not_taken() -> None:
    same = Fake("same", twice, 0.02)
    choice = measure(Twice(), WINDOW, {"torch": lambda: USUAL, "same": lambda: same})
    assert choice.backend == "torch"


def test_what_the_network_itself_raises_is_raised() -> None:
    class Broken(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise ValueError("my network")

    with pytest.raises(ValueError, match="my network"):
        measure(Broken(), WINDOW, {"torch": lambda: USUAL})


def test_difference_is_a_share_of_the_largest_score() -> None:
    assert difference(torch.tensor([-7.0, 3.0]), torch.tensor([-8.0, 3.0])) == 0.125
    assert difference(torch.zeros(2), torch.zeros(2)) == 0.0
    assert difference(torch.full((2,), 0.5), torch.zeros(2)) == 0.5
    assert difference(torch.empty(0, 2), torch.empty(0, 2)) == 0.0


@pytest.mark.parametrize("precision", TOLERANCE)
def test_both_sides_of_the_tolerance(precision: str) -> None:
    expected, bound = torch.tensor([1024.0]), TOLERANCE[precision]
    assert agrees(expected * (1 - 0.99 * bound), expected, precision)
    assert not agrees(expected * (1 - 1.01 * bound), expected, precision)
