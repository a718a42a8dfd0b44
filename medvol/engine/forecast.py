# SPDX-License-Identifier: Apache-2.0
"""What a prediction will take, said before it: memory by an estimate, time by a trial."""

import math
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.inferers import Inferer
from monai.utils import fall_back_tuple

from ..images.image import Image
from ..inferers.precision import PrecisionInferer
from ..inferers.slice_stack import SliceStackInferer
from ..spatial import spacing_mm
from ..text import counted
from .available import GIB
from .devices import Windows, part_of, sliding_window, window_size
from .memory import Estimate, estimate_of, gpu_estimate
from .pipeline import Pipeline
from .windows import number_of_windows


class Forecast(NamedTuple):
    """What the prediction of a volume takes at most: the crop to the body is not known before, nor
    which slices a gate lets pass.

    Args:
        memory: bytes needed, and bytes free.
        windows: that go through the network, and what one is, "window" or "slice"; None for an
            inferer without windows.
        network_s: seconds that the network takes for them; None where no trial was possible.
        gpu: bytes of the GPU's memory that are needed, and free; None on a CPU.
    """

    memory: Estimate
    windows: tuple[int, str] | None
    network_s: float | None
    gpu: Estimate | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs: bytes needed and free, windows, seconds of the network or None."""
        gpu = self.gpu and {
            "gpu_memory_bytes": self.gpu.needed,
            "gpu_free_bytes": self.gpu.available,
        }
        return {
            **(gpu or {}),
            "memory_bytes": self.memory.needed,
            "free_bytes": self.memory.available,
            "windows": self.windows[0] if self.windows else None,
            "network_s": None if self.network_s is None else round(self.network_s, 1),
        }

    def __str__(self) -> str:
        said = (
            f"at most about {self.memory.needed / GIB:.1f} GiB of memory "
            f"({self.memory.available / GIB:.1f} GiB free)"
        )
        said += f", of the GPU {self.gpu}" if self.gpu else ""
        if self.windows is None or self.network_s is None:
            return said
        return f"{said}; the network {_duration(self.network_s)} for {counted(*self.windows)}"


def forecast(pipeline: Pipeline, image: Image) -> Forecast:
    """What predicting a volume will take, on this machine and at this moment.

    The time is measured: a few empty windows go through the network.

    Args:
        pipeline: of the bundle.
        image: a volume.
    """
    inferer = pipeline.inferer
    memory, gpu = estimate_of(pipeline, image), gpu_estimate(pipeline, image)
    spacing = spacing_mm(image.affine)
    scale = np.divide(spacing, pipeline.spacing_mm or spacing)
    grid = [max(1, round(n)) for n in np.multiply(image.array.shape, scale)]
    number = number_of_windows(inferer, grid)
    windows = sliding_window(inferer)
    if number is None or windows is None or not memory.fits:
        return Forecast(memory, number, None, gpu)
    try:
        at_once, seconds = _trial(pipeline, windows, grid)
    except Exception:  # a network that takes something else; the prediction itself will say so
        return Forecast(memory, number, None, gpu)
    return Forecast(memory, number, math.ceil(number[0] / at_once) * seconds, gpu)


def _trial(pipeline: Pipeline, windows: Windows, grid: list[int]) -> tuple[int, float]:
    """How many windows go through the network side by side, and seconds that they take."""
    channels, device = len(pipeline.spec.channels), pipeline.device
    at_once = windows.sw_batch_size
    if device.type == "cpu":
        at_once = min(at_once, torch.get_num_threads())
    inferer: Inferer = windows
    if precise := part_of(pipeline.inferer, PrecisionInferer):
        inferer = PrecisionInferer(windows, precise.precision)
    network = pipeline.backend or pipeline.network

    def run(number: int) -> float:
        if isinstance(windows, SliceStackInferer):
            empty = torch.zeros(1, channels, *grid[:2], number, device=device)
        else:
            size = fall_back_tuple(window_size(windows), grid)
            empty = torch.zeros(number, channels, *size, device=device)
        started = time.perf_counter()
        with torch.inference_mode():
            inferer(empty, network)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    run(1)  # the first one also sets things up
    return at_once, run(at_once)


def _duration(seconds: float) -> str:
    """Seconds or minutes, no finer than a trial can say.

    Example:
        >>> [_duration(s) for s in (0.4, 41.7, 89.6, 400.0)]
        ['less than 1 s', 'about 42 s', 'about 90 s', 'about 7 min']
    """
    if seconds < 1:
        return "less than 1 s"
    return f"about {seconds:.0f} s" if seconds <= 90 else f"about {seconds / 60:.0f} min"
