# SPDX-License-Identifier: Apache-2.0
"""What runs a network where no backend is asked for: the fastest that was measured here.

Where none was measured torch runs it; when long work begins, a trial on its first windows is made.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from .backend import Backend
from .by_gpu import FormBackend
from .by_openvino import OpenvinoBackend
from .by_torch import TorchBackend
from .candidates import FOR_ONE_SIZE, TORCH, candidates, made
from .gpu import wait_for
from .remembered import Choice
from .trial import LONGEST_S, ROUNDS, tried

PAYS = 10  # times as long as a trial the work has to be, of which it may save a half
SETUP_S = 6.0  # that OpenVINO takes to convert and compile a network; measured are 4 to 8 s
GPU_SETUP_S = 60.0  # that torch takes to compile a network for a GPU; not measured
BACKENDS = 3  # that are measured, each by two windows alone and `trial.ROUNDS` batches
LIMIT_S = 30.0  # that a trial may take
UNKNOWN = "none was measured here; long work begins with a trial of them"
SIZES = "slices or windows have another size in each volume, and it would be compiled for each."
Keep = Callable[[Choice], None]
clock = time.perf_counter


class Automatic:
    """Runs a network by the backend that was measured to be the fastest, or by torch.

    All windows of an image go through the same backend: those that a trial is made on too. What
    was measured holds for windows of its shape: what is compiled for a shape leaves others to
    torch. Where it gives way on those, torch is remembered in its place.

    Args:
        network: in evaluation mode, on its device.
        precision: "fp32", "bf16" or "fp16".
        choice: what was measured of it on this machine; None where nothing was.
        keep: is called with what is measured now; what it refuses is passed over.

    Attributes:
        choice: as given, or as measured since.
        images: that are still to come, the present ones included.
    """

    def __init__(
        self, network: nn.Module, precision: str, *, choice: Choice | None = None,
        keep: Keep | None = None,
    ) -> None:  # fmt: skip
        self.network, self.precision, self.keep = network, precision, keep
        self.choice, self.images = choice, 1
        self._why = UNKNOWN if choice is None else choice.why
        name = TORCH if choice is None else choice.backend
        self._fastest = self._running = made(name, network, precision, strict=False)
        self._usual = self._fastest if name == TORCH else TorchBackend(network, precision)
        self._number: Callable[[], int] | None = None
        self._one_size, self._together = False, 1

    @property
    def name(self) -> str:
        """Of the backend that ran the latest windows, or will run the first."""
        return self._running.name

    @property
    def why(self) -> str:
        """Why it is that one, in a few words."""
        if self._running is self._fastest or self.choice is None:
            return self._why
        return f"measured for windows of {' x '.join(map(str, self.choice.shape))}, not for these"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of the backend."""
        return self._running.settings

    @property
    def batch(self) -> int | None:
        """That of the backend."""
        return self._running.batch

    def expect(self, number: Callable[[], int], *, one_size: bool, images: int = 1) -> None:
        """Say, before images that go through the network together, how much work they are.

        Args:
            number: gives the windows of one, once the first of them comes: then a gate has run.
            one_size: windows have the same size in every image.
            images: how many they are.
        """
        self._number, self._one_size, self._together = number, one_size, images

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `backend.Backend`."""
        number, self._number = self._number, None
        shape = tuple(windows.shape[1:])
        for_one = self.choice is not None and self.choice.backend in FOR_ONE_SIZE
        other = self.choice is not None and for_one and shape != self.choice.shape
        self._running = self._usual if other else self._fastest
        if number is not None:
            ahead = number() * self.images
            self.images = max(1, self.images - self._together)
            if self.choice is None and not args and not kwargs:
                return self._first(windows, ahead)
        found = self._running(windows, *args, **kwargs)
        self._mend()
        return found

    def to(self, device: torch.device | str) -> "Automatic":
        """The same on another device."""
        self._usual.to(device)
        self._fastest = self._running = self._usual
        return self

    def close(self) -> None:
        """Give back threads and memory."""
        self._fastest.close()
        if self._usual is not self._fastest:
            self._usual.close()

    def _first(self, windows: Tensor, ahead: int) -> Any:
        """Scores of the first windows of an image (B, C, *spatial), of so many that lie ahead."""
        scores, each = self._timed(windows)
        setup_s = SETUP_S if windows.device.type == "cpu" else GPU_SETUP_S
        if _pays(each, len(windows), ahead, setup_s):  # what is set up once is not counted
            _, each = self._timed(windows)
        if not _pays(each, len(windows), ahead, setup_s):
            self._why = f"none was measured here: for about {each * ahead:.0f} s it does not pay"
            return scores
        try:
            self._try(windows[:1] if windows.device.type == "cpu" else windows)
        except Exception as error:  # such as memory, which sufficed for the scores that are there
            self.choice = Choice(TORCH, {TORCH: each}, {}, tuple(windows.shape[1:]))
            self._why = f"the trial of them failed ({type(error).__name__})"
        return scores if self._running is self._usual else self._running(windows)

    def _timed(self, windows: Tensor) -> tuple[Any, float]:
        """Scores, and seconds a window."""
        started = clock()
        scores = self._running(windows)
        wait_for(windows.device)
        return scores, (clock() - started) / len(windows)

    def _try(self, windows: Tensor) -> None:
        """Take the fastest backend for windows such as these, (B, C, *spatial), and keep it."""
        makers = dict(candidates(self.network, self.precision))
        several = () if self._one_size else FOR_ONE_SIZE
        unfit = {name: SIZES for name in several if makers.pop(name, None)}
        choice, backends = tried(self.network, windows, makers, limit_s=LIMIT_S)
        choice = replace(choice, left_out={**choice.left_out, **unfit})
        fastest = backends.pop(choice.backend)
        for backend in backends.values():
            backend.close()
        if choice.backend == TORCH:
            fastest.close()
            fastest = self._usual
        if isinstance(fastest, OpenvinoBackend | FormBackend):
            fastest.strict = False
        self._take(fastest, choice, choice.why)

    def _mend(self) -> None:
        """Remember torch where another gave way to it."""
        why, gone = getattr(self._running, "stepped_in", ""), self._running.name
        if not why or self.choice is None:
            return
        seconds = {name: s for name, s in self.choice.seconds.items() if name != gone}
        left_out = {**self.choice.left_out, gone: why}
        choice = Choice(TORCH, seconds, left_out, self.choice.shape)
        self._fastest.close()
        self._take(self._usual, choice, f"{gone} gave way: {why.rstrip('.')}")

    def _take(self, backend: Backend, choice: Choice, why: str) -> None:
        self._fastest = self._running = backend
        self.choice, self._why = choice, why
        if self.keep is not None:
            with suppress(InputError, OSError):  # a home that cannot be written
                self.keep(choice)


def _pays(each_s: float, at_once: int, ahead: int, setup_s: float = SETUP_S) -> bool:
    """Whether work is so long that a trial pays.

    Args:
        each_s: s a window by torch.
        at_once: windows that are computed together.
        ahead: windows of the work.
        setup_s: s until the backends are ready.

    Example:
        >>> _pays(0.1, 2, 1000), _pays(0.1, 2, 1100)  # a trial takes 6 s and 3 times 1.4 s
        (False, True)
        >>> _pays(10.0, 2, 190), _pays(10.0, 2, 200)  # 6 s and 3 times 62 s
        (False, True)
    """
    batch_s = each_s * at_once
    rounds_s = min(ROUNDS * batch_s, LONGEST_S + batch_s)
    return each_s * ahead > PAYS * (setup_s + BACKENDS * (2 * batch_s + rounds_s))
