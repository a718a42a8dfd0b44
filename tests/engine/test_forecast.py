# SPDX-License-Identifier: Apache-2.0
"""What a prediction will take is said in numbers worked out by hand, and never stops it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.transforms import Compose

from medvol.engine import forecast as module
from medvol.engine.forecast import Forecast, forecast
from medvol.engine.memory import Estimate
from medvol.engine.settings import USUAL
from medvol.images.image import Image
from medvol.inferers.precision import PrecisionInferer
from medvol.inferers.slice_stack import SliceStackInferer
from medvol.labels import Label, LabelTable

GIB = 1 << 30
IMAGE = Image(np.zeros((20, 20, 10), np.float32), np.diag([2.0, 2.0, 4.0, 1.0]), Path("x.nii"))


class Seen(torch.nn.Module):
    """A network of two classes that keeps the shapes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return torch.cat([x[:, :1], x[:, :1]], 1)


def pipeline(inferer: Any, network: torch.nn.Module | None = None) -> Any:
    labels = LabelTable((Label(1, "lesion", (255, 0, 0)),))
    return SimpleNamespace(
        spec=SimpleNamespace(labels=labels, channels=("a", "b")), inferer=inferer,
        device=torch.device("cpu"), network=network or Seen(), backend=None,
        spacing_mm=(1.0, 1.0, 4.0), engine=USUAL, as_stored=True, streams=True,
        restore=Compose([abs]),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is not tried for its memory, see `test_activations`."""
    monkeypatch.setattr("medvol.engine.memory.activation_bytes", lambda *_: 0)


def test_windows_of_the_network_s_grid_and_rounds_of_those_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_trial", lambda *_: (2, 3.0))
    # the grid is 40 x 40 x 10; windows of 16 that overlap by a quarter begin at 0, 12 and 24
    found = forecast(pipeline(SlidingWindowInferer((16, 16, 16), 4, overlap=0.25)), IMAGE)
    assert found.windows == (9, "window")
    assert found.network_s == 5 * 3.0
    assert found.memory.needed > GIB // 16


@pytest.mark.parametrize(
    ("inferer", "shapes"),
    [
        (SlidingWindowInferer((16, 8, 8), 2), [(1, 2, 16, 8, 8), (2, 2, 16, 8, 8)]),
        (SliceStackInferer(3, 2), [(1, 6, 40, 40), (2, 6, 40, 40)]),
        (PrecisionInferer(SliceStackInferer(3, 2)), [(1, 6, 40, 40)] * 3),
    ],
)
def test_the_trial_leads_as_many_through_as_threads_take(
    inferer: Any, shapes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, network = torch.get_num_threads(), Seen()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    try:
        found = forecast(pipeline(inferer, network), IMAGE)
    finally:
        torch.set_num_threads(threads)
    assert network.shapes == shapes
    assert found.network_s is not None
    assert found.network_s > 0


def test_a_network_that_takes_something_else_has_no_time() -> None:
    found = forecast(pipeline(SlidingWindowInferer(8, 2), torch.nn.Linear(3, 3)), IMAGE)
    assert found.network_s is None
    assert "network" not in str(found)
    assert forecast(pipeline(SimpleInferer()), IMAGE).windows is None


def test_where_memory_will_not_do_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvol.engine.memory.available_bytes", lambda: 1)
    network = Seen()
    assert forecast(pipeline(SlidingWindowInferer(8, 2), network), IMAGE).network_s is None
    assert network.shapes == []


def test_in_words_and_for_programs() -> None:
    memory = Estimate(int(2.25 * GIB), 12 * GIB)
    found = Forecast(memory, (62, "slice"), 41.66)
    assert str(found) == (
        "at most about 2.2 GiB of memory (12.0 GiB free); the network about 42 s for 62 slices"
    )
    assert found.as_json() == {
        "memory_bytes": int(2.25 * GIB), "free_bytes": 12 * GIB, "windows": 62, "network_s": 41.7,
    }  # fmt: skip
    assert str(Forecast(memory, None, None)).endswith("(12.0 GiB free)")
    on_gpu = found._replace(gpu=Estimate(3 * GIB, 80 * GIB))
    assert "GiB free), of the GPU 3.0 GiB needed, 80.0 GiB free; the network" in str(on_gpu)
    assert on_gpu.as_json() == found.as_json() | {
        "gpu_memory_bytes": 3 * GIB, "gpu_free_bytes": 80 * GIB,
    }  # fmt: skip
