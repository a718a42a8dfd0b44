# SPDX-License-Identifier: Apache-2.0
"""Where the network runs, and what is given up when GPU memory ends: tried without a GPU."""

from typing import Any

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer

from medvol.engine.devices import (
    choose_device,
    infer_within_memory,
    kept,
    part_of,
    restore_within_memory,
    sliding_window,
)
from medvol.inferers.gated import GatedInferer, SliceGate
from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.slice_stack import SliceStackInferer

ONE_WINDOW = "GPU memory was short: one window at a time."
STITCHED = "GPU memory was short: windows were stitched on the CPU."
VOLUME = "GPU memory was short: the volume stayed on the CPU."
ON_CPU = "GPU memory was short: the network ran on the CPU."


class OnDevice:
    """What a tensor and a network show of themselves here: a device, and going to another."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def to(self, device: Any) -> "OnDevice":
        return OnDevice(str(device))


class Network(torch.nn.Module):
    """Goes to devices that do not exist."""

    where, closed = "cuda", 0

    def close(self) -> None:
        self.closed += 1

    def to(self, device: Any) -> "Network":  # type: ignore[override]
        self.where = str(device)
        return self


class ShortOfMemory(SlidingWindowInferer):
    """Runs out of memory a number of times, and remembers how it was set each time."""

    def __init__(self, failures: int, **options: Any) -> None:
        super().__init__(8, sw_batch_size=4, **options)
        self.failures = failures
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self, inputs: Any, network: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        self.seen.append(
            (self.sw_batch_size, self.device, self.sw_device, str(inputs.device), network.where)
        )
        if len(self.seen) <= self.failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "scores"


CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("failures", "given_up", "last"),
    [
        (0, [], (4, None, None, "cuda", "cuda")),
        (1, [ONE_WINDOW], (1, None, None, "cuda", "cuda")),
        (2, [ONE_WINDOW, STITCHED], (1, CPU, None, "cuda", "cuda")),
        (3, [ONE_WINDOW, STITCHED, VOLUME], (1, CPU, CUDA, "cpu", "cuda")),
        (4, [ONE_WINDOW, STITCHED, VOLUME, ON_CPU], (1, CPU, None, "cpu", "cpu")),
    ],
)
def test_ladder(failures: int, given_up: list[str], last: tuple[Any, ...]) -> None:
    inferer, network = ShortOfMemory(failures), Network()
    volume: Any = OnDevice("cpu")
    with kept(sliding_window(inferer)):
        assert infer_within_memory(inferer, volume, network, CUDA) == ("scores", given_up)
        assert inferer.seen[-1] == last
    # the next image starts afresh
    assert (inferer.sw_batch_size, inferer.device, inferer.sw_device) == (4, None, None)
    assert (network.where, network.closed) == ("cuda", failures)


def test_what_a_bundle_asks_of_the_gpu_is_given_up_too() -> None:
    inferer, network = ShortOfMemory(3, device="cuda", sw_device="cuda"), Network()
    inferer.sw_batch_size = 1
    volume: Any = OnDevice("cpu")
    _, given_up = infer_within_memory(inferer, volume, network, CUDA)
    assert given_up == [STITCHED, VOLUME, ON_CPU]
    assert inferer.seen == [
        (1, "cuda", "cuda", "cuda", "cuda"), (1, CPU, "cuda", "cuda", "cuda"),
        (1, CPU, CUDA, "cpu", "cuda"), (1, CPU, CPU, "cpu", "cpu"),
    ]  # fmt: skip


def test_ladder_ends_on_the_cpu() -> None:
    inferer, network = ShortOfMemory(9), Network()
    volume: Any = OnDevice("cuda")
    with pytest.raises(torch.OutOfMemoryError), kept(inferer):
        infer_within_memory(inferer, volume, network)
    assert len(inferer.seen) == 5
    assert inferer.sw_batch_size == 4
    assert network.where == "cuda"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_the_ladder_of_the_cpu_has_one_step(failures: int) -> None:
    inferer = ShortOfMemory(failures)
    volume: Any = OnDevice("cpu")
    given_up = ["Memory was short: one window at a time."][:failures]
    if failures < 2:
        assert infer_within_memory(inferer, volume, Network()) == ("scores", given_up)
    else:
        with pytest.raises(torch.OutOfMemoryError):
            infer_within_memory(inferer, volume, Network())
    assert [seen[0] for seen in inferer.seen] == [4, 1][: failures + 1]


def test_another_error_is_not_one_of_memory() -> None:
    volume: Any = OnDevice("cpu")
    with pytest.raises(RuntimeError, match="shapes differ"):
        infer_within_memory(_raise, volume, Network())


def _raise(*_: Any) -> None:
    raise RuntimeError("shapes differ")


def test_window_inside_another_inferer_and_none() -> None:
    windows = SlidingWindowInferer(8)
    gate = SliceGate(Network(), SimpleInferer(), weights="none.pt", threshold=None)
    gated = GatedInferer(windows, gate, classes=2)
    assert sliding_window(PrecisionInferer(gated)) is windows
    assert part_of(PrecisionInferer(gated), GatedInferer) is gated
    assert part_of(PrecisionInferer(windows), GatedInferer) is None
    assert sliding_window(PrecisionInferer(windows, "bf16")) is windows
    slabs = SliceStackInferer()
    assert sliding_window(PrecisionInferer(PrecisionInferer(slabs))) is slabs
    assert sliding_window(SimpleInferer()) is None


@pytest.mark.parametrize("failures", [0, 1])
def test_labels_restored_on_the_cpu(failures: int) -> None:
    seen: list[str] = []

    def restore(data: dict[str, Any]) -> dict[str, Any]:
        seen.append(str(data["pred"].device))
        if len(seen) <= failures:
            raise RuntimeError("applying transform") from torch.OutOfMemoryError("CUDA")
        return {**data, "done": True}

    data, given_up = restore_within_memory(restore, {"pred": OnDevice("cuda")}, "pred")
    assert data["done"]
    assert seen == ["cuda", "cpu"][: failures + 1]
    assert (
        given_up
        == ["GPU memory was short: labels were brought to the input's grid on the CPU."][:failures]
    )


def test_other_errors_are_not_for_want_of_memory() -> None:
    def restore(data: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError(f"no transform for {sorted(data)}")

    with pytest.raises(RuntimeError, match="no transform"):
        restore_within_memory(restore, {"pred": OnDevice("cuda")}, "pred")


def test_choosing_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="sees no GPU; give 'auto' or 'cpu'"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="one of auto, cpu, cuda"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")
