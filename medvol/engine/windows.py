# SPDX-License-Identifier: Apache-2.0
"""How many windows or slices of a volume go through a network, and how far it is with them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from monai.data.utils import dense_patch_slices
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep, fall_back_tuple

from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..kinds import is_of
from ..progress import Step, is_heard, tell
from .devices import part_of, sliding_window

OFTEN_S = 0.1  # between two words about the same stage


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
    found = _windows(windows, shape)
    if passing is None:
        return len(found), "window"
    before = max(0, found[-1][2].stop - shape[2]) // 2  # padding, where the volume is shorter
    inside = [slice(max(0, w[2].start - before), w[2].stop - before) for w in found]
    return sum(bool(passing[z].any()) for z in inside), "window"


def _windows(windows: SlidingWindowInferer, shape: Sequence[int]) -> list[tuple[slice, ...]]:
    """Where MONAI's `sliding_window_inference` puts its windows in a padded volume."""
    size = fall_back_tuple(windows.roi_size, shape)
    padded = [max(pair) for pair in zip(shape, size, strict=True)]
    overlap = ensure_tuple_rep(windows.overlap, len(size))
    steps = [
        edge if edge == whole else max(1, int(edge * (1 - share)))
        for edge, whole, share in zip(size, padded, overlap, strict=True)
    ]
    found: list[tuple[slice, ...]] = dense_patch_slices(padded, size, steps)
    return found


@contextmanager
def watched(network: torch.nn.Module, inferer: Any, shape: Sequence[int]) -> Iterator[None]:
    """Tell how many windows have gone through a network while the block runs.

    Args:
        network: that the inferer runs.
        inferer, shape: as for `number_of_windows`.
    """
    if not is_heard():
        yield
        return
    lock, done, said = threading.Lock(), 0, 0.0
    number: tuple[int, str] | None = None

    def count(_: torch.nn.Module, given: tuple[torch.Tensor, ...], __: Any) -> None:
        nonlocal done, said, number
        with lock:  # the windows of a batch are computed side by side
            if not done:  # a gate has run by now
                gated = part_of(inferer, GatedInferer)
                passing = None if gated is None or gated.passing is None else gated.passing[0]
                number = number_of_windows(inferer, shape, passing)
            done += len(given[0])
            now = time.monotonic()
            if number is not None and (now - said >= OFTEN_S or done >= number[0]):
                said = now
                tell(Step("network", min(done, number[0]), *number))

    hook = network.register_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()
