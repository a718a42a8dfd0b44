# SPDX-License-Identifier: Apache-2.0
"""Where no backend is asked for: a trial when the work is long, and what came of it afterwards."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from far import gpu
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import Tensor, nn

from medvol.engine.backends import automatic, trial
from medvol.engine.backends.automatic import SIZES, UNKNOWN, Automatic
from medvol.engine.backends.by_openvino import OpenvinoBackend
from medvol.engine.backends.candidates import candidates
from medvol.engine.backends.remembered import Choice
from medvol.engine.windows import expect_images, of_one_size, watched
from medvol.errors import InputError
from medvol.inferers.slice_stack import SliceStackInferer

TORCH_S, FAST_S = 1.0, 0.25  # of a window


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, windows: Tensor) -> Tensor:
        return windows * self.weight


class Clock:
    """Passes when a backend works, not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A backend of two windows at once, that takes its time by a clock."""

    settings: Mapping[str, Any] = {}
    precision, batch = "fp32", 2

    def __init__(self, name: str, clock: Clock, each_s: float, factor: float = 2.0) -> None:
        self.name, self.clock, self.each_s, self.factor = name, clock, each_s, factor
        self.ran = 0

    def __call__(self, windows: Tensor, *_: Any, **__: Any) -> Tensor:
        self.clock.now += self.each_s * len(windows)
        self.ran += len(windows)
        return windows * self.factor

    def to(self, _: Any) -> "Fake":
        return self

    def close(self) -> None: ...


class Planted:
    """What takes the place of the backends and of the clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.torch = Fake("torch", self.clock, TORCH_S)
        self.fast = Fake("openvino", self.clock, FAST_S)
        self.kept: list[Choice] = []
        self.trials = 0

    def made(self, name: str, *_: Any, **__: Any) -> Fake:
        return {"torch": self.torch, "openvino": self.fast}[name]

    def candidates(self, *_: Any) -> Mapping[str, Callable[[], Any]]:
        self.trials += 1
        return {"torch": lambda: self.torch, "openvino": lambda: self.fast}

    def run(self, backend: Automatic, windows: int, *, one_size: bool = True) -> Tensor:
        """An image of so many windows, two at once."""
        backend.expect(lambda: windows, one_size=one_size)
        with torch.inference_mode():
            scores = [backend(x) for x in torch.arange(2.0 * windows).view(-1, 2).split(2)]
        return torch.cat(scores)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    found = Planted()
    monkeypatch.setattr(automatic, "made", found.made)
    monkeypatch.setattr(automatic, "candidates", found.candidates)
    monkeypatch.setattr(automatic, "clock", found.clock)
    monkeypatch.setattr(trial, "time", SimpleNamespace(perf_counter=found.clock))
    return found


def auto(planted: Planted, choice: Choice | None = None) -> Automatic:
    return Automatic(Twice().eval(), "fp32", choice=choice, keep=planted.kept.append)


def test_short_work_is_done_by_torch_without_a_trial(planted: Planted) -> None:
    backend = auto(planted)
    assert (backend.name, backend.why) == ("torch", UNKNOWN)
    planted.run(backend, 20)
    assert (backend.name, planted.trials, planted.kept) == ("torch", 0, [])
    assert backend.why == "none was measured here: for about 20 s it does not pay"
    assert planted.torch.ran == 20  # none was computed twice


# a trial takes 6 s and 3 times 4 s (two windows of two) and 4 s (of two, until 2 s are over): 30 s
@pytest.mark.parametrize(("windows", "trials"), [(300, 0), (302, 1)])
def test_both_sides_of_work_for_which_a_trial_pays(
    planted: Planted, windows: int, trials: int
) -> None:
    planted.run(auto(planted), windows)
    assert planted.trials == trials


def test_long_work_begins_with_a_trial_and_goes_on_by_the_fastest(planted: Planted) -> None:
    backend = auto(planted)
    windows = torch.arange(800.0).view(-1, 2)
    assert torch.equal(planted.run(backend, 400), 2 * windows)
    assert (backend.name, planted.trials) == ("openvino", 1)
    (choice,) = planted.kept
    assert choice == backend.choice
    assert choice == Choice("openvino", {"torch": TORCH_S, "openvino": FAST_S}, {}, (2,))
    assert backend.why == "measured: openvino 0.25 s a window, torch 1 s"
    assert planted.fast.ran >= 400  # those of the trial too, so that all are by one
    by_torch = planted.torch.ran
    planted.run(backend, 400)
    assert (planted.torch.ran, planted.trials) == (by_torch, 1)


def test_a_trial_that_fails_costs_no_scores_and_is_not_made_again(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(automatic, "tried", fails)
    backend = auto(planted)
    windows = torch.arange(800.0).view(-1, 2)
    for _ in range(2):
        assert torch.equal(planted.run(backend, 400), 2 * windows)
    assert (backend.name, planted.trials, planted.kept) == ("torch", 1, [])
    assert backend.why == "the trial of them failed (MemoryError)"


def test_each_backend_is_closed_once(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Fake, "close", lambda backend: closed.append(backend.name))
    auto(planted).close()
    assert closed == ["torch"]


def test_on_a_gpu_all_windows_of_a_batch_are_tried_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the real backends, with tensors that stand in for those of a GPU."""
    monkeypatch.setattr(automatic, "_pays", lambda *_: True)
    monkeypatch.setattr(trial, "_fastest", lambda *_: "torch-graphs")
    kept: list[Choice] = []
    with gpu():
        waited: list[Any] = []
        monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
        network = nn.Conv1d(1, 2, 3).eval().to("cuda")
        backend = Automatic(network, "fp32", keep=kept.append)
        backend.expect(lambda: 100, one_size=True)
        windows = torch.rand(4, 1, 8).to("cuda")
        scores = [backend(windows), backend(windows), network(windows)]
        assert all(x.device.type == "cuda" and torch.equal(x, scores[2]) for x in scores)
    assert backend.name == "torch-graphs"
    (choice,) = kept
    assert choice.shape == (1, 8)
    assert choice.seconds.keys() == {"torch", "torch-channels-last", "torch-graphs"}
    assert choice.left_out.keys() == {"torch-compiled"}
    # torch before the trial, twice; each of three backends before and after each of five rounds
    assert len(waited) == 2 + 3 * 5 * 2


def test_many_images_are_long_work_together(planted: Planted) -> None:
    backend = auto(planted)
    expect_images(backend, 40)
    planted.run(backend, 10)
    assert planted.trials == 1
    expect_images(backend, 5)
    assert backend.images == 39  # who says of one image that it comes takes none away
    expect_images(Twice(), 40)  # of a pipeline without a backend: nothing to say


def test_the_images_that_are_left_are_counted_and_each_is_asked_anew(planted: Planted) -> None:
    backend = auto(planted)
    expect_images(backend, 3)
    for images in (2, 1, 1):
        planted.run(backend, 2)
        assert backend.images == images
    assert planted.trials == 0
    planted.run(backend, 400)
    assert planted.trials == 1


# a trial takes 6 s and 3 times 32 s (sixteen pictures twice) and 18 s (sixteen at once): 156 s
@pytest.mark.parametrize(("pictures", "trials"), [(1560, 0), (1562, 1)])
def test_pictures_are_counted_by_the_batch_and_have_one_size(
    planted: Planted, pictures: int, trials: int
) -> None:
    backend = auto(planted)
    expect_images(backend, pictures)
    batch = torch.ones(16, 1, 2, 2)
    with watched(backend, SimpleInferer(), batch.shape) as network, torch.inference_mode():
        assert torch.equal(network(batch), 2 * batch)
    assert (planted.trials, backend.images) == (trials, pictures - 16)
    assert backend.name == ("openvino" if trials else "torch")  # which is compiled for a size


def test_one_that_disagrees_is_never_taken(planted: Planted) -> None:
    planted.fast.factor = 2.01
    backend = auto(planted)
    scores = planted.run(backend, 400)
    assert torch.equal(scores, 2 * torch.arange(800.0).view(-1, 2))
    assert backend.name == "torch"
    (choice,) = planted.kept
    assert (choice.backend, [*choice.left_out]) == ("torch", ["openvino"])
    planted.run(backend, 400)
    assert planted.trials == 1


def test_what_is_compiled_for_a_size_is_not_tried_where_sizes_differ(planted: Planted) -> None:
    backend = auto(planted)
    planted.run(backend, 400, one_size=False)
    assert (backend.name, planted.fast.ran) == ("torch", 0)
    assert planted.kept[0].left_out == {"openvino": SIZES}


def test_a_home_that_cannot_be_written_is_no_reason_to_stop(planted: Planted) -> None:
    def full(_: Choice) -> None:
        raise InputError("E_NOSPACE", "home", "it is full.", "Free some space.")

    backend = Automatic(Twice().eval(), "fp32", keep=full)
    planted.run(backend, 400)
    assert backend.name == "openvino"


class Stepping(OpenvinoBackend):
    """OpenVINO that gives way to torch, without being there."""

    def __init__(self) -> None:
        self.stepped_in, self.threads, self.shapes = "", 2, []  # type: ignore[var-annotated]

    def __call__(self, windows: Tensor, *_: Any, **__: Any) -> Tensor:
        self.shapes.append(tuple(windows.shape[1:]))
        self.stepped_in = "its scores differ."
        return windows * 2

    def close(self) -> None: ...


MEASURED = Choice("openvino", {"torch": 1.0, "openvino": 0.5}, {"other": "it failed."}, (2,))


def test_torch_is_remembered_where_openvino_gave_way(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepping = Stepping()
    monkeypatch.setattr(automatic, "made", lambda *_, **__: stepping)
    backend = auto(planted, MEASURED)
    assert (backend.name, backend.why) == ("openvino", MEASURED.why)
    planted.run(backend, 4)
    assert (backend.name, backend.why) == ("torch", "openvino gave way: its scores differ")
    left_out = {"other": "it failed.", "openvino": "its scores differ."}
    assert planted.kept == [Choice("torch", {"torch": 1.0}, left_out, (2,))]
    assert len(stepping.shapes) == 1


def test_windows_of_another_shape_than_was_measured_are_left_to_torch(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepping = Stepping()
    monkeypatch.setattr(automatic, "made", lambda *_, **__: stepping)
    backend = auto(planted, MEASURED)
    with torch.inference_mode():
        assert torch.equal(backend(torch.ones(1, 3)), torch.full((1, 3), 2.0))
    assert (backend.name, backend.why) == ("torch", "measured for windows of 2, not for these")
    assert (stepping.shapes, planted.kept) == ([], [])
    planted.run(backend, 2)
    assert stepping.shapes == [(2,)]


def test_a_sliding_window_says_how_much_work_it_is(planted: Planted) -> None:
    """60 x 60 x 1 windows of 2 voxels, and only a few of those: the gate of the number is its
    inferer's, not the batches that come."""
    backend = auto(planted)
    inferer = SlidingWindowInferer((2, 2, 2), 2, overlap=0)
    for shape, trials in (((20, 20, 2), 0), ((40, 60, 2), 1)):
        with watched(backend, inferer, (1, 1, *shape)) as network, torch.inference_mode():
            inferer(torch.ones(1, 1, *shape), network)
        assert planted.trials == trials
    assert backend.choice is not None
    assert backend.choice.shape == (1, 2, 2, 2)


def test_which_inferers_give_windows_of_one_size() -> None:
    assert of_one_size(SlidingWindowInferer((4, 4, 4)))
    assert of_one_size(SlidingWindowInferer(4))
    assert not of_one_size(SlidingWindowInferer((4, 4, -1)))
    assert not of_one_size(SlidingWindowInferer((4, 4, None)))  # type: ignore[arg-type]
    assert not of_one_size(SliceStackInferer(3))


def test_the_trial_itself_is_of_real_backends() -> None:
    """Nothing planted but the clock's patience: whichever is the fastest, the scores agree."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 1)).eval()
    kept: list[Choice] = []
    backend = Automatic(network, "fp32", keep=kept.append)
    windows = torch.rand(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    backend.expect(lambda: 10**9, one_size=True)
    with torch.inference_mode():
        torch.testing.assert_close(backend(windows), network(windows), rtol=0, atol=1e-5)
        torch.testing.assert_close(backend(windows), network(windows), rtol=0, atol=1e-5)
    (choice,) = kept
    assert {*choice.seconds, *choice.left_out} == {*candidates(network, "fp32")}
    assert backend.name == choice.backend
    backend.close()
