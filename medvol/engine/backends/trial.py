# SPDX-License-Identifier: Apache-2.0
"""Which backend is the fastest for a network on this machine: a trial of a few seconds."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor, nn

from .agreement import TOLERANCE, difference
from .backend import Backend
from .remembered import Choice

ROUNDS = 5  # of which the median counts; the backends take turns in each
LONGEST_S = 2.0  # of one backend's rounds: fewer are run where a window takes long
# a backend has to be faster than torch by so much: less is not worth other last digits
WORTH = 0.95
Make = Callable[[], Backend]


def measure(network: nn.Module, window: Tensor, makers: Mapping[str, Make]) -> Choice:
    """Let backends run the same windows, and choose the fastest that agrees with torch in float32.

    Args:
        network: in evaluation mode, on the CPU.
        window: (1, C, *spatial), such as an image gives.
        makers: name of a backend to what makes it, the first is that of torch. Of the reduced
            precision that a backend is made with, `TOLERANCE` has the bound.

    Returns:
        The choice, torch where no other is faster by 5 %.

    Raises:
        Whatever the network itself raises.
    """
    with torch.inference_mode():
        expected = network(window).float()
    usual = next(iter(makers))
    backends: dict[str, Backend] = {}
    seconds: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    try:
        for name, make in makers.items():
            try:
                backend = backends[name] = make()
                why = _disagreement(backend, window, expected)
            except Exception as error:  # a backend may fail however it likes
                if name == usual:
                    raise
                why = str(getattr(error, "reason", error)) or type(error).__name__
            if why:
                left_out[name] = why
            else:
                seconds[name] = []
        for _ in range(ROUNDS):
            for name, taken in seconds.items():
                if sum(taken) < LONGEST_S:
                    taken.append(_seconds(backends[name], window))
    finally:
        for backend in backends.values():
            backend.close()
    shape = tuple(window.shape[1:])
    each = {name: median(taken) for name, taken in seconds.items()}
    return Choice(_fastest(each, usual), each, left_out, shape)


def _disagreement(backend: Backend, window: Tensor, expected: Tensor) -> str:
    """How a backend's scores differ from torch's, a sentence; empty where they are equal enough."""
    bound = TOLERANCE[getattr(backend, "precision", "fp32")]
    with torch.inference_mode():
        found = difference(backend(window), expected)
    if found <= bound:
        return ""
    return f"its scores differ by {found:.2g} of the largest, {bound:g} is allowed."


def _seconds(backend: Backend, window: Tensor) -> float:
    """Seconds a window, where as many run at once as the backend likes."""
    at_once = backend.batch or 1
    windows = window.expand(at_once, *window.shape[1:]).contiguous()
    started = time.perf_counter()
    with torch.inference_mode():
        backend(windows)
    return (time.perf_counter() - started) / at_once


def _fastest(seconds: Mapping[str, float], usual: str) -> str:
    """The fastest, or the usual one where the fastest is hardly faster.

    Example:
        >>> _fastest({"torch": 1.0, "openvino": 0.96}, "torch")
        'torch'
        >>> _fastest({"torch": 1.0, "openvino": 0.94}, "torch")
        'openvino'
    """
    name = min(seconds, key=lambda name: seconds[name])
    return name if seconds[name] < WORTH * seconds.get(usual, float("inf")) else usual
