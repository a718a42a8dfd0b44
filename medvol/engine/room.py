# SPDX-License-Identifier: Apache-2.0
"""How much at once an inferer takes: made to fit the memory there is, and said for the record."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer

from ..errors import InputError
from ..images.image import Image
from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..labels import LabelTable
from ..spatial import spacing_mm
from .devices import Windows, part_of, sliding_window
from .memory import Estimate, available_bytes, needed_bytes


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
        )
        return Estimate(needed, available_bytes())

    first = last = estimate()
    if first.fits:
        return []
    if windows is not None and windows.sw_batch_size > 1:
        windows.sw_batch_size = 1
        last = estimate()
    if not last.fits:
        raise InputError(
            "E_TOO_BIG", image.path, f"predicting it takes too much memory ({last}).",
            "Crop the image, close other programs, or use a machine with more memory.",
        )  # fmt: skip
    return [f"Memory is short ({first}): one window at a time."]


def settings_of(inferer: Any) -> dict[str, Any]:
    """Window, overlap, windows at once, threads, gate: what a record names of an inferer."""
    settings: dict[str, Any] = {"threads": torch.get_num_threads()}
    windows = sliding_window(inferer)
    if isinstance(windows, SliceStackInferer):
        settings["slices"] = windows.slices
    elif windows is not None:
        settings["window"] = list(_size(windows))
        settings["overlap"] = windows.overlap
    if windows is not None:
        settings["windows_at_once"] = windows.sw_batch_size
    gated = part_of(inferer, GatedInferer)
    if gated is not None and gated.passing is not None:
        gate, passing = gated.gate, gated.passing
        settings["gate_threshold"] = gate.threshold
        settings["gate_margin"], settings["gate_gap"] = gate.margin, gate.gap
        settings["slices_segmented"] = f"{int(passing.sum())} of {passing.numel()}"
    return settings


def _voxels(windows: Windows, grid: np.ndarray[Any, Any]) -> int:
    """Voxels of a window; of a slab, those of a slice of the network's (X, Y, Z) grid."""
    if isinstance(windows, SliceStackInferer):
        return math.ceil(grid[0] * grid[1])
    return math.prod(max(1, n) for n in _size(windows))


def _size(windows: SlidingWindowInferer) -> Sequence[int]:
    """Edges of a window; MONAI takes one number for a cube."""
    size: int | Sequence[int] = windows.roi_size
    return (size,) * 3 if isinstance(size, int) else size
