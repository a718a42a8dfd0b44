# SPDX-License-Identifier: Apache-2.0
"""Scores that go to the restoring step plane by plane, so that they never exist as a whole."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from monai.transforms import Compose

from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..inferers.sliding_window import FastSlidingWindowInferer, OtherOutput
from ..kinds import is_of
from ..transforms.keys import plain
from .steps import PRED, Data


def streams(inferer: Any, restore: Compose) -> bool:
    """Whether an inferer gives planes, and the first step of what restores takes them."""
    within = inferer.inferer if is_of(inferer, GatedInferer) else inferer
    kinds = (FastSlidingWindowInferer, SliceStackInferer)
    gives = isinstance(within, kinds) and hasattr(inferer, "planes")
    return gives and bool(restore.transforms) and hasattr(restore.transforms[0], "stream")


class Streaming:
    """Runs an inferer, and restores its planes while the next are computed.

    It is called in an inferer's place, and gives the data with labels. Where the network gives
    something else than scores on the grid of its windows, there are no planes: the inferer runs as
    a whole, and then the step.

    Args:
        inferer: with `planes`, see `inferers.sliding_window.FastSlidingWindowInferer`.
        step: that restores, with `stream(planes, data)`.
        data: that goes with the planes.
        guard: makes a context within which the network runs.

    Attributes:
        inferer: as given; the ladder of `devices.infer_within_memory` finds its windows.
        network_s: seconds that the network took, stitching included.
    """

    def __init__(
        self, inferer: Any, step: Any, data: Data, guard: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.inferer, self.step, self.data, self.guard = inferer, step, data, guard
        self.network_s = 0.0

    def __call__(self, volume: torch.Tensor, network: Any) -> Data:
        restored: Data
        try:
            restored = self.step.stream(self._planes(plain(volume), network), self.data)
        except OtherOutput:
            started = time.perf_counter()
            with self.guard():
                scores = self.inferer(volume, network)
            self.network_s += time.perf_counter() - started
            restored = self.step({**self.data, PRED: scores[0]})
        return restored

    def _planes(self, volume: torch.Tensor, network: Any) -> Iterator[torch.Tensor]:
        planes = None
        while True:
            started = time.perf_counter()
            other: OtherOutput | None = None
            with self.guard():
                planes = planes or self.inferer.planes(volume, network)
                try:
                    some = next(planes, None)
                except OtherOutput as error:  # no refusal: see above
                    other = error
            self.network_s += time.perf_counter() - started
            if other is not None:
                raise other
            if some is None:
                return
            yield some
            del some  # what was restored is not kept while the next is computed
