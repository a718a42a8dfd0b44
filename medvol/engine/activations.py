# SPDX-License-Identifier: Apache-2.0
"""How much memory a network takes for a window, counted while it takes a small one."""

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..failures import FAILURES
from .available import give_back

PER_VOXEL = 120  # float32 of a network that takes nothing here; measured, ResUNet 16 to 160
SMALL = 32  # an edge is halved where it stays at least so long
TOGETHER = 2  # windows of the trial: torch convolves a single small one in much more memory
BLOCK = 8  # channels that oneDNN keeps together; it copies what a convolution reads and writes
PLAIN_CHANNELS = 4  # with so few at most it reads them as they are
CONVOLUTIONS = {F.conv2d, F.conv3d, F.conv_transpose2d, F.conv_transpose3d}
_known: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], int]] = WeakKeyDictionary()


def activation_bytes(network: nn.Module, shape: Sequence[int]) -> int:
    """Memory of all tensors that exist at once while a network computes one window, at its peak.

    The network takes an empty window of half the edges, or else of the same, and the tensors that
    it makes are counted; what oneDNN copies for a convolution on a CPU is counted in. Of a network
    that takes neither, `PER_VOXEL` is assumed. What was counted is remembered.

    Args:
        network: in evaluation mode, on its device; its weights are not counted.
        shape: (C, *window) of its input, which is counted in.

    Returns:
        Bytes.
    """
    known = _known.setdefault(network, {})
    key = tuple(shape)
    if key not in known:
        known[key] = _counted(network, key)
        give_back()  # the trial's
    return known[key]


def _counted(network: nn.Module, shape: tuple[int, ...]) -> int:
    channels, *window = shape
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    half = [edge // 2 if edge % 2 == 0 and edge >= 2 * SMALL else edge for edge in window]
    for edges in (half, window) if half != window else (window,):
        live = _Live()
        given = torch.zeros(TOGETHER, channels, *edges, device=device)
        try:
            with torch.inference_mode(), live:
                network(given)
        except FAILURES:  # as of a network whose skips do not fit, or that takes something else
            continue
        peak = (live.peak + 4 * given.numel()) / TOGETHER
        return math.ceil(peak * math.prod(window) / math.prod(edges))
    return 4 * PER_VOXEL * math.prod(window)


class _Live(TorchFunctionMode):
    """Counts the bytes of tensors that torch's functions make while it is entered, and their
    peak; what one of them makes and drops inside is not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self._count(func, args, one)
        return made

    def _count(self, func: Any, args: tuple[Any, ...], made: Tensor) -> None:
        storage, beside = made.untyped_storage(), 0
        if func in CONVOLUTIONS:
            read, written = _blocked(args[0]), _blocked(made)
            beside = max(read + written - storage.nbytes(), written)
        self.storages[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.storages = {
            key: value for key, value in self.storages.items() if not value[0].expired()
        }
        live = sum(size for _, size in self.storages.values())
        self.peak = max(self.peak, live + beside)


def _blocked(values: Tensor) -> int:
    """Bytes of a copy whose channels are kept in blocks; 0 where there is none."""
    channels = values.shape[1]
    if channels <= PLAIN_CHANNELS:
        return 0
    return values.numel() // channels * -(-channels // BLOCK) * BLOCK * values.element_size()
