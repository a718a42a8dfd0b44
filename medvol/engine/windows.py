# SPDX-License-Identifier: Apache-2.0
"""How many windows or slices of a volume go through a network, and how far it is with them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..inferers.window_grid import window_grid
from ..kinds import is_of
from ..progress import Step, is_heard, tell
from .backends.automatic import Automatic
from .devices import part_of, sliding_window, window_size

OFTEN_S = 0.1  # between two words about the same stage
PICTURE_AXES = 2  # of pictures, which a chain brings to one size, so that they make up batches


def number_of_windows(
    inferer: Any, shape: Sequence[int], passing: torch.Tensor | None = None
) -> tuple[int, str] | None:
    """How often a network runs for a volume, and what one of these is: "window" or "slice".

    Args:
        inferer: that leads them through the network.
        shape: (X, Y, Z) of the network's input.
        passing: (Z,) bool, slices that a gate let pass; windows that hold none are not counted.

    Returns:
        None of an inferer that gives the network the whole volume, or whatever it likes.
    """
    windows = sliding_window(inferer)
    if is_of(windows, SliceStackInferer):
        return (shape[-1] if passing is None else int(passing.sum())), "slice"
    if windows is None or len(shape) != 3:
        return None
    grid = window_grid(windows, shape)
    if passing is None:
        return len(grid.windows), "window"
    inside = [grid.inside(window)[2] for window in grid.windows]
    return sum(bool(passing[z].any()) for z in inside), "window"


def gated_windows(inferer: Any, shape: Sequence[int]) -> tuple[int, str] | None:
    """The same, where a gate has run already: only what it let pass is counted.

    Args:
        inferer, shape: as for `number_of_windows`.
    """
    gated = part_of(inferer, GatedInferer)
    passing = None if gated is None or gated.passing is None else gated.passing[0]
    return number_of_windows(inferer, shape, passing)


def of_one_size(inferer: Any) -> bool:
    """Whether the windows of an inferer have the same size in every volume."""
    windows = sliding_window(inferer)
    if windows is None or is_of(windows, SliceStackInferer):
        return False
    return all(edge is not None and edge > 0 for edge in window_size(windows))


class Counted:
    """A network that tells how many windows have gone through it.

    Args:
        network: that is called.
        inferer, shape: as for `number_of_windows`.
    """

    def __init__(self, network: Any, inferer: Any, shape: Sequence[int]) -> None:
        self.network, self.inferer, self.shape = network, inferer, shape
        self.lock, self.done, self.said = threading.Lock(), 0, 0.0
        self.number: tuple[int, str] | None = None

    def __call__(self, windows: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        found = self.network(windows, *args, **kwargs)
        self._count(len(windows))
        return found

    def to(self, device: torch.device | str) -> "Counted":
        """The same on another device."""
        self.network = self.network.to(device)
        return self

    def close(self) -> None:
        """Give back what the network holds, where it is a backend."""
        if close := getattr(self.network, "close", None):
            close()

    def _count(self, windows: int) -> None:
        with self.lock:  # an inferer may run several at once
            if not self.done:  # a gate has run by now
                self.number = gated_windows(self.inferer, self.shape)
            self.done += windows
            now = time.monotonic()
            number = self.number
            if number is not None and (now - self.said >= OFTEN_S or self.done >= number[0]):
                self.said = now
                tell(Step("network", min(self.done, number[0]), *number))


def expect_images(network: Any, images: int) -> None:
    """Say how many images will come at least, to a network that may be run by several backends.

    Args:
        network: of a pipeline, or what runs it.
        images: 1 or more.
    """
    if isinstance(network, Automatic):
        network.images = max(network.images, images)


@contextmanager
def watched(network: Any, inferer: Any, shape: Sequence[int]) -> Iterator[Any]:
    """The network while the block runs; where somebody listens, it tells how far it is. One that
    may be run by several backends is told how much work it is.

    Args:
        network: that the inferer runs.
        inferer: as for `number_of_windows`.
        shape: (B, C, *spatial) of what it is given.
    """
    images, spatial = shape[0], shape[2:]
    if isinstance(network, Automatic):
        network.expect(
            lambda: (gated_windows(inferer, spatial) or (1, ""))[0], images=images,
            one_size=of_one_size(inferer) or len(spatial) == PICTURE_AXES,
        )  # fmt: skip
    yield Counted(network, inferer, spatial) if is_heard() else network
