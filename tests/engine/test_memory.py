# SPDX-License-Identifier: Apache-2.0
"""The estimate of memory, against numbers worked out by hand."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from far import gpu
from monai.inferers import SliceInferer, SlidingWindowInferer

from medvol.engine.activations import activation_bytes
from medvol.engine.memory import (
    BESIDE,
    Estimate,
    Work,
    estimate_of,
    gpu_estimate,
    held_bytes,
    needed_bytes,
    work_of,
)
from medvol.engine.settings import USUAL
from medvol.images.image import Image

GIB = 1 << 30
# of a million voxels, 50 x 50 x 50 on the network's grid, in windows of 10 x 20 x 20
WORK = Work(
    voxels=1_000_000, grid=(50, 50, 50), channels=1, classes=4, windows=(2, 2),
    window_bytes=300_000, window=(10, 20, 20), at_once=True, streamed=True,
)  # fmt: skip
INPUT, LABELS, WINDOW = 4 * 125_000, 1_000_000, 4 * 4 * 4000
SUMS = 4 * 5 * 2500 * (10 + 8)  # of four classes and of the weights; eight planes are given away
WAITING = 4 * 4 * 2500 * 16  # planes of which none is restored before the last of them is there


def bytes_of(**changed: object) -> int:
    return needed_bytes(replace(WORK, **changed), 0) - BESIDE  # type: ignore[arg-type]


def test_parts_of_the_estimate() -> None:
    assert bytes_of() == INPUT + 2 * 300_000 + SUMS + WAITING + LABELS
    assert needed_bytes(WORK, GIB) - needed_bytes(WORK, 0) == GIB
    assert bytes_of(classes=104) == INPUT + 104 * WINDOW + SUMS // 5 * 105 + 26 * WAITING + LABELS
    assert bytes_of(channels=3) == 3 * INPUT + 2 * 300_000 + SUMS + WAITING + LABELS


def test_windows_wait_for_a_thread() -> None:
    """Of five that are given at once two are computed, the scores of three are there already."""
    assert bytes_of(windows=(1, 2)) == INPUT + 300_000 + SUMS + WAITING + LABELS
    many = 2 * 3_000_000 + 3 * WINDOW
    assert (
        bytes_of(windows=(5, 2), window_bytes=3_000_000) == INPUT + many + SUMS + WAITING + LABELS
    )


def test_a_volume_smaller_than_a_window_is_padded() -> None:
    padded = 4 * 60 * 50 * 50
    sums = 4 * 5 * 2500 * 60
    assert (
        bytes_of(window=(60, 20, 20)) == INPUT + padded + 4 * 4 * 96_000 + sums + WAITING + LABELS
    )


def test_scores_that_are_there_as_a_whole() -> None:
    whole = 4 * 4 * 125_000
    stock = INPUT + 2 * whole + 4 * 3 * 1_000_000 + LABELS
    assert bytes_of(streamed=False) == stock


def test_scores_that_are_gathered_before_they_are_restored() -> None:
    """While they are looked at the network's memory is free again, or it is the most."""
    whole = 4 * 4 * 125_000
    assert bytes_of(gathered=True) == INPUT + whole + LABELS + 16 * 125_000
    network = 2 * 3_000_000
    most = INPUT + whole + network + SUMS // 4
    assert bytes_of(gathered=True, window_bytes=3_000_000) == most


def test_preparing_step_by_step_may_be_the_most() -> None:
    assert bytes_of(at_once=False) == 4 * 4 * 1_000_000 + INPUT


def test_without_windows_the_whole_volume_is_in_the_network() -> None:
    assert bytes_of(window=None) == INPUT + 300_000 + LABELS + 4 * 4 * 125_000


@pytest.mark.parametrize(
    ("axis", "window"), [(0, (1, 8, 6)), (1, (8, 1, 6)), (2, (8, 6, 1))]
)  # fmt: skip
def test_a_network_of_planes_has_windows_of_one_plane(axis: int, window: tuple[int, ...]) -> None:
    network = torch.nn.Conv2d(2, 3, 3, padding=1).eval()
    runs = SimpleNamespace(
        spec=SimpleNamespace(labels=[SimpleNamespace(value=2)], channels=["a", "b"]),
        inferer=SliceInferer(axis, (8, 6), sw_batch_size=4), network=network,
        device=torch.device("cpu"), as_stored=True, streams=False,
    )  # fmt: skip
    work = work_of(runs, (20, 20, 20), (10, 10, 10))
    assert work.window == window
    assert work.window_bytes == activation_bytes(network, (2, 8, 6)) > 0
    assert (work.classes, work.windows[0]) == (3, 4)


def test_of_a_gpu_all_windows_of_a_batch_are_there_at_once_and_what_torch_keeps_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = Image(np.zeros((20, 20, 10), np.float32), np.eye(4), Path("x.nii"))
    network = torch.nn.Conv3d(1, 2, 3, padding=1).eval()
    labels = [SimpleNamespace(value=1)]
    runs: Any = SimpleNamespace(
        spec=SimpleNamespace(labels=labels, channels=["a"]), inferer=SlidingWindowInferer(8, 4),
        network=network, device=torch.device("cpu"), as_stored=True, streams=False,
        spacing_mm=None, engine=USUAL,
    )  # fmt: skip
    assert gpu_estimate(runs, image) is None
    inside = activation_bytes(network, (1, 8, 8, 8))
    runs.device = torch.device("cuda")
    with gpu(free_bytes=3 * GIB):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 2 * GIB)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: GIB)
        found = gpu_estimate(runs, image)
        on_cpu = estimate_of(runs, image)
    assert found is not None
    assert found.available == GIB + GIB + 3 * GIB  # held, kept by torch for later, free
    work = work_of(runs, (20, 20, 10), (20, 20, 10))
    assert (work.windows, work.window_bytes) == ((4, 4), inside)
    assert found.needed == GIB + work.predicted
    assert on_cpu.needed - held_bytes() < found.needed


@pytest.mark.parametrize(("free", "fits"), [(3 * GIB, True), (3 * GIB - 1, False)])
def test_fits(free: int, fits: bool) -> None:
    estimate = Estimate(3 * GIB, free)
    assert estimate.fits == fits
    assert str(estimate) == "3.0 GiB needed, 3.0 GiB free"
