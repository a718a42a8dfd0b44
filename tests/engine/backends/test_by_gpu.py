# SPDX-License-Identifier: Apache-2.0
"""Forms of a network for windows of one shape on a GPU, with tensors that stand in for its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import far
import pytest
import torch
from far import FAR, Graph, gpu
from torch import Tensor, nn

from medvol.engine.backends import by_gpu
from medvol.engine.backends.by_gpu import CompiledBackend, FormBackend, GraphsBackend
from medvol.engine.backends.candidates import candidates, made
from medvol.errors import InputError


@pytest.fixture(autouse=True)
def _gpu() -> Iterator[None]:
    with gpu():
        Graph.replays = 0
        yield


class Counted(nn.Module):
    """A small network that counts how often Python runs it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
        self.runs = 0

    def forward(self, windows: Tensor) -> Tensor:
        self.runs += 1
        return self.layers(windows)


def network() -> Counted:
    torch.manual_seed(0)
    return Counted().eval()


def windows(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def scores(backend: Any, given: Tensor) -> Tensor:
    return backend(given.to("cuda")).cpu()


def test_a_graph_is_recorded_once_and_replayed_for_equal_shapes_only() -> None:
    own, near = network(), network()
    backend = GraphsBackend(own.to("cuda"), "fp32")
    shapes = [(2, 1, 6, 5)] * 3 + [(1, 1, 6, 5)] + [(2, 1, 6, 5)]
    given = [windows(seed, *shape) for seed, shape in enumerate(shapes)]
    found = [scores(backend, x) for x in given]  # none may be overwritten by a later replay
    for x, y in zip(given, found, strict=True):
        torch.testing.assert_close(y, near(x), rtol=0, atol=1e-6)
    # the warm-up, the recording, the reference; and the one of another shape
    assert own.runs == by_gpu.WARM_UP + 1 + 1 + 1
    assert Graph.replays == 1 + 4  # the first of them for the comparison


def test_another_shape_that_comes_twice_in_a_row_takes_the_place() -> None:
    backend, near = GraphsBackend(network().to("cuda"), "fp32"), network()
    for seed, (batch, replays) in enumerate([(2, 2), (1, 2), (1, 4), (1, 5), (2, 5), (2, 7)]):
        x = windows(seed, batch, 1, 6, 5)
        torch.testing.assert_close(scores(backend, x), near(x), rtol=0, atol=1e-6)
        assert replays == Graph.replays
    backend.close()  # gives the form back, and makes it again
    scores(backend, x)
    assert Graph.replays == 9


def test_a_form_is_made_with_the_fastest_of_cudnn_and_eager_shapes_that_come_once_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []

    class Looks(Counted):
        def forward(self, windows: Tensor) -> Tensor:
            seen.append(torch.backends.cudnn.benchmark)
            return super().forward(windows)

    monkeypatch.setattr(by_gpu, "WARM_UP", 1)
    backend = GraphsBackend(Looks().eval().to("cuda"), "fp32")
    scores(backend, windows(0, 2, 1, 6, 5))  # warm-up, recording; then the reference
    assert seen == [True, True, False]
    for seed in range(2):  # a shape that is new, and comes again: a form is made for it
        scores(backend, windows(seed, 1, 1, 6, 5))
    assert seen[3:] == [False, True, True, False]


def other_scores(self: FormBackend, _: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: self._one(x) * 1.001


def no_form(self: FormBackend, _: Tensor) -> Any:  # noqa: ARG001
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize(
    ("made", "words"),
    [(other_scores, "its scores differ by 0.001 of"), (no_form, "operation not permitted")],
)
def test_a_form_that_is_wrong_or_cannot_be_made_is_refused_or_gives_way(
    monkeypatch: pytest.MonkeyPatch, made: Any, words: str
) -> None:
    monkeypatch.setattr(GraphsBackend, "_made", made)
    x, near = windows(0, 2, 1, 6, 5), network()
    refusal = rf"E_BUNDLE --backend torch-graphs: it cannot run this network: {words}"
    with pytest.raises(InputError, match=refusal):
        scores(GraphsBackend(network().to("cuda"), "fp32"), x)
    backend = GraphsBackend(network().to("cuda"), "fp32", strict=False)
    torch.testing.assert_close(scores(backend, x), near(x), rtol=0, atol=1e-6)
    assert words in backend.settings["torch_stepped_in"]


def test_without_memory_for_the_form_the_network_runs_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []

    def short(_: FormBackend, given: Tensor) -> Any:
        tries.append(len(given))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GraphsBackend, "_made", short)
    own, near = network(), network()
    backend = GraphsBackend(own.to("cuda"), "fp32")
    for seed in range(3):
        x = windows(seed, 2, 1, 6, 5)
        torch.testing.assert_close(scores(backend, x), near(x), rtol=0, atol=1e-6)
    assert (tries, own.runs, dict(backend.settings)) == ([2], 3, {})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_nothing_of_it_stays_on_a_gpu_that_it_leaves(precision: str) -> None:
    backend = GraphsBackend(network().to("cuda"), precision)
    x = windows(0, 2, 1, 6, 5)
    scores(backend, x)
    backend.to("cpu")
    kept = [backend.network, backend.reference.network]
    assert {p.device.type for part in kept for p in part.parameters()} == {"cpu"}
    replays = Graph.replays
    scores(backend.to("cuda"), x)  # a graph of weights that are gone would be replayed once
    assert Graph.replays == replays + 2


def test_a_graph_is_recorded_on_the_device_of_its_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the second GPU, while the first is the usual one."""
    entered, streams = [FAR], list[torch.device]()

    @contextmanager
    def device(other: torch.device) -> Iterator[None]:
        entered.append(other)
        yield
        entered.pop()

    class Stream(far.Stream):
        def __init__(self) -> None:
            streams.append(entered[-1])

    second = torch.device("cuda", 1)
    for name, planted in {"device": device, "Stream": Stream, "current_stream": Stream}.items():
        monkeypatch.setattr(torch.cuda, name, planted)
    monkeypatch.setattr(far, "FAR", second)
    scores(GraphsBackend(network().to("cuda"), "fp32"), windows(0, 2, 1, 6, 5))
    assert streams == [second] * 3


def test_a_network_is_compiled_for_constant_sizes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def compiled(module: nn.Module, **options: Any) -> Any:
        seen.append(options)
        return partial(module)

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(by_gpu, "lacks_compiler", lambda _: "")
    backend, near = CompiledBackend(network().to("cuda"), "bf16"), network()
    for seed in range(2):
        x = windows(seed, 2, 1, 6, 5)
        torch.testing.assert_close(scores(backend, x), near(x), rtol=0, atol=0.02)
    assert seen == [{"dynamic": False}]


def test_where_there_is_no_gpu_or_no_compiler_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="it is for a GPU, and the network is on the cpu"):
        GraphsBackend(network(), "fp32")
    monkeypatch.setattr(by_gpu, "lacks_compiler", lambda _: "the package triton is not installed.")
    with pytest.raises(InputError, match="triton is not installed"):
        CompiledBackend(network().to("cuda"), "fp32")
    with pytest.raises(InputError, match=r"on the CPU, not on cuda\. Give --device cpu"):
        made("openvino", network().to("cuda"), "fp32", strict=True)
    names = ["torch", "torch-channels-last", "torch-graphs", "torch-compiled"]
    assert [*candidates(network().to("cuda"), "fp32")] == names
