# SPDX-License-Identifier: Apache-2.0
"""Which backend is the fastest for a network on this machine: a trial of a few seconds."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor, nn

from ...progress import Step, tell
from .agreement import TOLERANCE, difference
from .backend import Backend
from .by_torch import TorchBackend
from .gpu import wait_for
from .remembered import Choice

ROUNDS = 5  # of which the median counts; the backends take turns in each
LONGEST_S = 2.0  # of one backend's rounds: fewer are run where a window takes long
# of all: OpenVINO converts and compiles a network in 5 to 10 s; in a memory format that a processor
# is bad at a window can take minutes
LIMIT_S = 60.0
# a backend has to be faster than torch by so much: less is not worth other last digits
WORTH = 0.95
NO_TIME = "the time of the trial was over."
Make = Callable[[], Backend]


class TimeIsUp(Exception):
    """A network was at work when the time of the trial was over."""


def measure(
    network: nn.Module, windows: Tensor, makers: Mapping[str, Make], *, limit_s: float = LIMIT_S
) -> Choice:
    """Let backends run the same windows, and choose the fastest that agrees with torch in float32.

    Args:
        network: in evaluation mode, on its device.
        windows: (B, C, *spatial), such as an image gives; on a CPU one is enough.
        makers: name of a backend to what makes it, the first is that of torch. Of the reduced
            precision that a backend is made with, `TOLERANCE` has the bound.
        limit_s: s after which no other than torch begins a layer of the network; on a GPU no other
            backend is begun.

    Returns:
        The choice, torch where no other is faster by 5 %.

    Raises:
        Whatever the network itself raises.
    """
    choice, backends = tried(network, windows, makers, limit_s=limit_s)
    for backend in backends.values():
        backend.close()
    return choice


def tried(
    network: nn.Module, windows: Tensor, makers: Mapping[str, Make], *, limit_s: float = LIMIT_S
) -> tuple[Choice, dict[str, Backend]]:
    """As `measure`; and the backends that were measured, by name, which the caller closes.

    Args:
        network, windows, makers, limit_s: as for `measure`.

    Raises:
        Whatever the network itself raises.
    """
    until = time.perf_counter() + limit_s
    reference = TorchBackend(network, "fp32")
    usual = next(iter(makers))
    backends: dict[str, Backend] = {}
    left_out: dict[str, str] = {}
    try:
        with torch.inference_mode():
            expected = reference(windows)
        for name, make in makers.items():
            tell(Step("network", remark=f"Measuring how fast {name} runs the network."))
            try:
                with _ended(network, None if name == usual else until, windows.device):
                    backends[name] = make()
                    why = _disagreement(backends[name], windows, expected)
            except Exception as error:  # a backend may fail however it likes
                if name == usual:
                    raise
                why = str(getattr(error, "reason", error)) or type(error).__name__
            if why:
                left_out[name] = NO_TIME if time.perf_counter() > until else why
                if name in backends:
                    backends.pop(name).close()
        each = _rounds(backends, windows, until, usual)
        left_out.update(dict.fromkeys(backends.keys() - each.keys(), NO_TIME))
    except BaseException:
        for backend in backends.values():
            backend.close()
        raise
    finally:
        reference.close()
    return Choice(_fastest(each, usual), each, left_out, tuple(windows.shape[1:])), backends


def _rounds(
    backends: Mapping[str, Backend], windows: Tensor, until: float, usual: str
) -> dict[str, float]:
    """Seconds a window, of the usual backend and those for which there was time."""
    seconds: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for name, backend in backends.items():
            taken = seconds.get(name, [])
            in_time = time.perf_counter() < until or (name == usual and number == 0)
            if in_time and sum(taken) < LONGEST_S:
                seconds[name] = [*taken, _seconds(backend, windows)]
    return {name: median(taken) for name, taken in seconds.items()}


@contextmanager
def _ended(network: nn.Module, until: float | None, device: torch.device) -> Iterator[None]:
    """End what a network computes when a time has come, at its next layer; None: never.

    On a GPU it has computed little when its last layer has begun, and a compiler would take what
    looks at the clock for a part of the network: there it is not begun when the time has come.

    Raises:
        TimeIsUp: it has come.
    """
    ends = [until]  # also of copies of the network, which have its hooks

    def check(*_: object) -> None:
        if ends[0] is not None and time.perf_counter() > ends[0]:
            raise TimeIsUp(NO_TIME)

    if device.type != "cpu":
        check()
        until = None
    layers = [x for x in network.modules() if not isinstance(x, torch.jit.ScriptModule)]
    hooks = [x.register_forward_pre_hook(check) for x in layers] if until is not None else []
    try:
        yield
    finally:
        ends[0] = None
        for hook in hooks:
            hook.remove()


def _disagreement(backend: Backend, windows: Tensor, expected: Tensor) -> str:
    """How a backend's scores differ from torch's, a sentence; empty where they are equal enough."""
    bound = TOLERANCE[getattr(backend, "precision", "fp32")]
    with torch.inference_mode():
        found = difference(backend(windows), expected)
    if found <= bound:
        return ""
    return f"its scores differ by {found:.2g} of the largest, {bound:g} is allowed."


def _seconds(backend: Backend, windows: Tensor) -> float:
    """Seconds a window, where as many run at once as the backend likes, or as are given."""
    at_once = backend.batch or len(windows)
    if at_once != len(windows):
        windows = windows[:1].expand(at_once, *windows.shape[1:]).contiguous()
    wait_for(windows.device)
    started = time.perf_counter()
    with torch.inference_mode():
        backend(windows)
    wait_for(windows.device)
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
