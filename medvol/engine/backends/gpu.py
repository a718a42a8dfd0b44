# SPDX-License-Identifier: Apache-2.0
"""How torch computes on a GPU here: in float32 where that is said, and what a GPU is called.

Never run on a GPU: none was at hand. Tests run it with tensors that stand in for those of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import nn

OLDEST = (7, 0)  # of GPUs for which triton compiles


@contextmanager
def without_tf32(*, benchmark: bool) -> Iterator[None]:
    """Let products on a GPU be those of the precision that is asked for, while the block runs.

    Torch convolves float32 on newer GPUs as TF32, which keeps 10 bits of 23: another precision,
    that nobody has asked for. Here it is off. What was set before is set again at the end.

    Args:
        benchmark: cuDNN tries which of its ways is the fastest for a shape when that comes first,
            and keeps it: for shapes that come again. Only ways that give the same each time are
            tried; which of them it takes may differ from run to run, in the last digits.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=None, benchmark=benchmark, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def device_of(network: nn.Module) -> torch.device:
    """The device that a network is on; one without weights is on the CPU."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has computed all that it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def gpu_name() -> str:
    """What the GPU is called, and the version of CUDA that torch was built for."""
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def lacks_compiler(device: torch.device) -> str:
    """Why networks cannot be compiled for a GPU, a sentence; empty where they can."""
    if find_spec("triton") is None:
        return "the package triton is not installed."
    if torch.cuda.get_device_capability(device) < OLDEST:
        return "the GPU is too old for triton."
    return ""
