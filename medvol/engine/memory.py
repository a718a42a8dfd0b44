# SPDX-License-Identifier: Apache-2.0
"""How much memory a run will need, and how much there is, before it starts."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
import torch
from monai.inferers import SliceInferer
from monai.transforms import Compose
from monai.utils import fall_back_tuple

from ..bundle.spec import Spec
from ..errors import InputError
from ..failures import MORE_MEMORY
from ..images.image import Image
from ..inferers.slice_stack import SliceStackInferer
from ..inferers.sliding_window import PLANES
from ..kinds import is_of
from ..spatial import spacing_mm
from ..transforms.decide import BLOCK
from .activations import activation_bytes
from .available import GIB, available_bytes, give_back
from .devices import sliding_window, window_size
from .settings import EngineSettings

FLOAT_BYTES = 4
STEPWISE = 4  # float32 volumes of the input that stock steps hold at once while they prepare it
BROUGHT_BACK = 3  # float32 volumes of the input's size while stock steps bring a class back
LOOKED_AT = 16  # bytes a voxel of what finds body and lungs: HU, parts, marks
# what the libraries take beside: code that oneDNN makes, buffers of slabs and threads, and what
# malloc keeps of memory that was given back
BESIDE = 64 << 20


@dataclass(frozen=True)
class Estimate:
    """Bytes a run needs at its peak, and bytes that are free; what the process holds by now is
    counted in both."""

    needed: int
    available: int

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available

    def leaves(self, beside: int) -> bool:
        """Whether so many bytes are left for something else."""
        return self.needed + beside <= self.available

    def __str__(self) -> str:
        return f"{self.needed / GIB:.1f} GiB needed, {self.available / GIB:.1f} GiB free"


@dataclass(frozen=True)
class Work:
    """What of a prediction takes memory.

    Args:
        voxels: of the input.
        grid: (X, Y, Z) of the network's input.
        channels, classes: that the network takes, and that it gives.
        windows: that it takes at once, and how many of them are computed side by side.
        window_bytes: that the network holds while it computes one, see `activations`.
        window: (X, Y, Z) of a window, or of a slice; None for an inferer without windows.
        at_once: the input is prepared in one pass, without copies of its size.
        streamed: scores are restored without copies of them, plane by plane.
        gathered: planes of scores are looked at as a whole before any of them is restored.
    """

    voxels: int
    grid: tuple[int, ...]
    channels: int
    classes: int
    windows: tuple[int, int]
    window_bytes: int
    window: tuple[int, ...] | None
    at_once: bool
    streamed: bool
    gathered: bool = False

    @property
    def prepared(self) -> int:
        """Bytes while the input is prepared."""
        stepwise = 0 if self.at_once else STEPWISE * self.voxels
        return FLOAT_BYTES * (stepwise + self.channels * math.prod(self.grid))

    @property
    def predicted(self) -> int:
        """Bytes while the network runs and its scores become labels."""
        voxels, labels = math.prod(self.grid), self.voxels
        given = FLOAT_BYTES * self.channels * voxels
        if self.window is None:
            return given + self.window_bytes + labels + FLOAT_BYTES * self.classes * voxels
        padded = tuple(map(max, self.grid, self.window))
        if padded != self.grid:
            given += FLOAT_BYTES * self.channels * math.prod(padded)
        together, beside = self.windows
        scores = FLOAT_BYTES * self.classes * math.prod(self.window)
        network = max(
            min(together, beside) * self.window_bytes + max(0, together - beside) * scores,
            2 * together * scores,  # each by itself, and all in one
        )
        plane = math.prod(padded[1:])
        sums = FLOAT_BYTES * (self.classes + 1) * plane * min(self.window[0] + PLANES, padded[0])
        whole = FLOAT_BYTES * self.classes * voxels
        if self.streamed and self.gathered:
            return given + whole + max(network + sums // self.classes, labels + LOOKED_AT * voxels)
        if self.streamed:
            waiting = FLOAT_BYTES * self.classes * plane * min(BLOCK, padded[0])
            return given + network + sums + waiting + labels
        activated = 2 * whole + FLOAT_BYTES * BROUGHT_BACK * self.voxels
        return given + max(network + whole + sums // self.classes, activated) + labels


class Runs(Protocol):
    """What predicts: a pipeline."""

    spec: Spec
    inferer: Any
    network: torch.nn.Module
    device: torch.device
    engine: EngineSettings
    spacing_mm: tuple[float, ...] | None
    as_stored: bool
    streams: bool
    restore: Compose


def work_of(runs: Runs, shape: Sequence[int], grid: Sequence[int]) -> Work:
    """What of a prediction takes memory.

    Args:
        runs: that predicts.
        shape: (X, Y, Z) of the input.
        grid: (X, Y, Z) of the network's input.
    """
    windows, spec = sliding_window(runs.inferer), runs.spec
    on_cpu, threads = runs.device.type == "cpu", torch.get_num_threads()
    classes = max((label.value for label in spec.labels), default=1) + 1  # and the background
    channels = max(1, len(spec.channels))
    grid = tuple(int(n) for n in grid)
    window, given, together = None, (channels, *grid), 1
    if is_of(windows, SliceStackInferer):
        given = (max(channels, windows.slices), *grid[:2])
        window, channels = (*grid[:2], 1), max(1, channels // windows.slices)
    elif windows is not None:
        window = tuple(int(n) for n in fall_back_tuple(window_size(windows), grid))
        flat = windows.spatial_dim if isinstance(windows, SliceInferer) else None
        given = (channels, *(n for axis, n in enumerate(window) if axis != flat))
    if windows is not None:
        together = windows.sw_batch_size
    gathers = is_of(windows, SliceStackInferer)
    if runs.streams:
        gathers = gathers or getattr(runs.restore.transforms[0], "gathers", False)
    return Work(
        voxels=math.prod(shape), grid=grid, channels=channels, classes=classes,
        windows=(together, threads if on_cpu else together),
        window_bytes=activation_bytes(runs.network, given), window=window,
        at_once=runs.as_stored, streamed=runs.streams,
        gathered=gathers,
    )  # fmt: skip


def needed_bytes(work: Work, held: int) -> int:
    """Estimate the peak memory of one prediction on the CPU.

    Args:
        work: to be done.
        held: bytes that the process holds before it: Python, torch, the weights, the image.

    Example:
        >>> work = Work(1000, (10, 10, 10), 1, 2, (1, 1), 0, (10, 10, 10), True, True)
        >>> needed_bytes(work, 0) - BESIDE  # input, windows, sums, what waits, labels
        41000
    """
    return held + max(work.prepared, work.predicted) + BESIDE


def estimate_of(runs: Runs, image: Image, grid: Sequence[int] | None = None) -> Estimate:
    """The memory that predicting a volume needs, and what is free.

    Args:
        runs: that predicts it.
        image: the volume.
        grid: (X, Y, Z) of the network's input; None while the crop to the body is not known.
    """
    held, work = held_bytes(), _work(runs, image, grid)
    if runs.device.type != "cpu":  # what the network holds lies elsewhere
        work = replace(work, window_bytes=0)
    return Estimate(needed_bytes(work, held), _allowed(runs, held))


def gpu_estimate(runs: Runs, image: Image) -> Estimate | None:
    """The memory of the GPU that predicting a volume needs, its scores stitched there, and what is
    free; None on a CPU.

    What a network holds is counted as on a CPU; what cuDNN takes beside is not known. Where it
    does not suffice less is tried, see `devices.infer_within_memory`. Never compared with what a
    GPU took: none was at hand.

    Args:
        runs: that predicts it.
        image: the volume.
    """
    if runs.device.type == "cpu":
        return None
    kept = torch.cuda.memory_allocated(runs.device)  # weights; what torch keeps beside is free
    free = torch.cuda.mem_get_info(runs.device)[0] + torch.cuda.memory_reserved(runs.device) - kept
    return Estimate(kept + _work(runs, image, None).predicted, kept + free)


def _work(runs: Runs, image: Image, grid: Sequence[int] | None) -> Work:
    """What takes memory, on a grid (X, Y, Z) or on that before any crop."""
    grid = _whole_grid(runs, image) if grid is None else grid
    return work_of(runs, image.array.shape[:3], grid)


def check_preparing(runs: Runs, image: Image) -> None:
    """Refuse a volume that has no room on the network's grid before any crop.

    Args:
        runs: that predicts.
        image: that is to be predicted.

    Raises:
        InputError: E_TOO_BIG, more memory needed than there is, or than the user allows.
    """
    held = held_bytes()
    voxels = math.prod(_whole_grid(runs, image)) * max(1, len(runs.spec.channels))
    needed = Estimate(held + FLOAT_BYTES * voxels, _allowed(runs, held))
    if not needed.fits:
        raise _too_big(image, needed)


def make_room(runs: Runs, image: Image, grid: Sequence[int]) -> list[str]:
    """Compare estimate and free memory; one window at a time when that helps, else refuse.

    Args:
        runs: that predicts, whose windows at once may become 1; see `devices.kept`.
        image: that is to be predicted.
        grid: (X, Y, Z) of the network's input.

    Returns:
        What was given up, in words; empty when nothing was.

    Raises:
        InputError: E_TOO_BIG, more memory needed than there is, or than the user allows.
    """
    give_back()  # what preparing the volume took
    windows = sliding_window(runs.inferer)
    first = last = estimate_of(runs, image, grid)
    if first.fits:
        return []
    if windows is not None and windows.sw_batch_size > 1:
        windows.sw_batch_size = 1
        last = estimate_of(runs, image, grid)
    if not last.fits:
        raise _too_big(image, last)
    return [f"Memory is short ({first}): one window at a time."]


def _whole_grid(runs: Runs, image: Image) -> list[int]:
    """(X, Y, Z) of the network's input before any crop."""
    shape, spacing = image.array.shape[:3], spacing_mm(image.affine)
    scale = np.divide(spacing, runs.spacing_mm or spacing)
    return [max(1, math.ceil(n)) for n in np.multiply(shape, scale)]


def _allowed(runs: Runs, held: int) -> int:
    """Bytes that the process may have: what it holds and what is free, or what the user allows."""
    free = available_bytes() + held
    most = runs.engine.max_memory_bytes
    return free if most is None else min(free, most)


def _too_big(image: Image, estimate: Estimate) -> InputError:
    return InputError(
        "E_TOO_BIG", image.path, f"predicting it takes too much memory ({estimate}).", MORE_MEMORY
    )  # fmt: skip


def held_bytes() -> int:
    """Resident memory of this process at the moment, in bytes."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Largest resident memory of this process so far, in bytes; on Windows its working set."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; its ru_maxrss would begin with the memory of the parent process
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes
