# SPDX-License-Identifier: Apache-2.0
"""How much memory a run will need, and how much there is, before it starts."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from ..errors import InputError
from ..failures import MORE_MEMORY
from ..images.image import Image
from ..inferers.slice_stack import SliceStackInferer
from ..kinds import is_of
from ..labels import LabelTable
from ..spatial import spacing_mm
from .available import GIB, available_bytes
from .devices import Windows, sliding_window, window_size

FLOAT_BYTES = 4
# float32 volumes of the input's size that exist at once, at most: while a class is brought back,
# the input, the class, the best so far, and the resampling's two intermediate results
FULL_SIZE_VOLUMES = 5
# float32 volumes of the network input's size beside one per class: input, window weights, windows
NETWORK_SIZE_VOLUMES = 3
ACTIVATIONS = 120  # float32 per voxel of a window inside a network; measured, ResUNet 16 to 160
PROCESS_BYTES = GIB  # Python, torch and the weights


@dataclass(frozen=True)
class Estimate:
    """Bytes a run needs at its peak, and bytes that are free."""

    needed: int
    available: int

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available

    def __str__(self) -> str:
        return f"{self.needed / GIB:.1f} GiB needed, {self.available / GIB:.1f} GiB free"


def needed_bytes(
    shape: Sequence[int], spacing_mm: Sequence[float], network_spacing_mm: Sequence[float] | None,
    *, classes: int, window_voxels: int = 0,
) -> int:  # fmt: skip
    """Estimate the peak memory of one prediction on the CPU.

    Args:
        shape: (X, Y, Z) of the input.
        spacing_mm: of the input.
        network_spacing_mm: of the network's input; None when it is not resampled.
        classes: scores the network gives, background included.
        window_voxels: of all windows that go through the network at once; 0 for the whole volume.

    Returns:
        Bytes. The crop to the lungs is not counted in, since it is not known before.

    Example:
        >>> needed_bytes((100, 100, 100), (1, 1, 1), (2, 2, 2), classes=4, window_voxels=32**3)
        1112970464
    """
    voxels = float(np.prod([float(n) for n in shape]))
    scale = np.prod(np.divide(spacing_mm, network_spacing_mm)) if network_spacing_mm else 1.0
    full = FULL_SIZE_VOLUMES * voxels
    network = (NETWORK_SIZE_VOLUMES + classes) * voxels * float(scale)
    inside = ACTIVATIONS * (window_voxels or voxels * float(scale))
    return int(FLOAT_BYTES * (full + network + inside)) + PROCESS_BYTES


def estimate_of(
    image: Image,
    inferer: Any,
    device: torch.device,
    *,
    labels: LabelTable,
    network_spacing_mm: Sequence[float] | None,
) -> Estimate:
    """The memory that predicting a volume needs, and what is free.

    Args:
        image, inferer, device, labels, network_spacing_mm: as for `make_room`.
    """
    windows = sliding_window(inferer)
    shape, spacing = image.array.shape, spacing_mm(image.affine)
    classes = max((label.value for label in labels), default=1) + 1  # and the background
    grid = np.multiply(shape, np.divide(spacing, network_spacing_mm or spacing))
    at_once = (
        windows.sw_batch_size * _voxels(windows, grid)
        if windows is not None and device.type == "cpu"
        else 0
    )
    needed = needed_bytes(
        shape, spacing, network_spacing_mm, classes=classes, window_voxels=at_once
    )  # fmt: skip
    return Estimate(needed, available_bytes())


def make_room(
    image: Image,
    inferer: Any,
    device: torch.device,
    *,
    labels: LabelTable,
    network_spacing_mm: Sequence[float] | None,
) -> list[str]:
    """Compare estimate and free memory; one window at a time when that helps, else refuse.

    Args:
        image: that is to be predicted.
        inferer: whose windows at once may become 1; see `devices.kept`.
        device: of the network.
        labels: of the mask, beside the background.
        network_spacing_mm: of the network's input; None when it is not resampled.

    Returns:
        What was given up, in words; empty when nothing was.

    Raises:
        InputError: E_TOO_BIG, more memory needed than there is.
    """
    windows = sliding_window(inferer)

    def estimate() -> Estimate:
        return estimate_of(
            image, inferer, device, labels=labels, network_spacing_mm=network_spacing_mm
        )

    first = last = estimate()
    if first.fits:
        return []
    if windows is not None and windows.sw_batch_size > 1:
        windows.sw_batch_size = 1
        last = estimate()
    if not last.fits:
        raise InputError(
            "E_TOO_BIG", image.path, f"predicting it takes too much memory ({last}).",
            MORE_MEMORY,
        )  # fmt: skip
    return [f"Memory is short ({first}): one window at a time."]


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


def _voxels(windows: Windows, grid: np.ndarray[Any, Any]) -> int:
    """Voxels of a window; of a slab, those of a slice of the network's (X, Y, Z) grid."""
    if is_of(windows, SliceStackInferer):
        return math.ceil(grid[0] * grid[1])
    return math.prod(max(1, n) for n in window_size(windows))
