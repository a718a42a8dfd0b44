# SPDX-License-Identifier: Apache-2.0
"""A network run by torch: under autocast, on the CPU one thread for each window of a batch.

On a GPU a batch runs as it is, see `gpu.without_tf32`. Never run on one: none was at hand.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ...inferers.precision import PRECISIONS, window_by_window
from ...threads import one_thread_each
from .gpu import without_tf32

Network = Callable[..., Tensor]
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by number of axes


class TorchBackend:
    """Runs a network by torch.

    Args:
        network: in evaluation mode.
        precision: of `inferers.precision.PRECISIONS`.
        channels_last: whether a copy of it runs with the channels behind the axes of space, in
            memory; else it stays as the bundle has it.
    """

    def __init__(
        self, network: torch.nn.Module, precision: str, *, channels_last: bool = False
    ) -> None:
        self.name = "torch-channels-last" if channels_last else "torch"
        self.network, self.precision = network, precision
        self.channels_last = channels_last
        if channels_last:
            self.network = _channels_last(deepcopy(network))
        self._workers: ThreadPoolExecutor | None = None
        self._open = ExitStack()
        self._latest: tuple[int, ...] | None = None  # shape of windows on a GPU
        self._again = False  # it was that of those before them

    @property
    def batch(self) -> int | None:
        """As of `backend.Backend`: a window a thread; on another device the bundle's own."""
        on_cpu = all(p.device.type == "cpu" for p in self.network.parameters())
        return torch.get_num_threads() if on_cpu else None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing: its name says all."""
        return {}

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `backend.Backend`."""
        if windows.device.type != "cpu":
            latest, self._latest = self._latest, tuple(windows.shape)
            self._again = latest == self._latest
            # a shape that came once may be the last of its kind
            with without_tf32(benchmark=self._again):
                return self._on_gpu(windows, *args, **kwargs)
        if self._workers is None:
            self._workers = self._open.enter_context(one_thread_each())
        return window_by_window(self._workers, self._one, windows, *args, **kwargs)

    def to(self, device: torch.device | str) -> "TorchBackend":
        """The same on another device."""
        self.network.to(device)
        return self

    def close(self) -> None:
        """End the threads."""
        self._open.close()
        self._workers = None

    def _on_gpu(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self._one(windows, *args, **kwargs)

    def _one(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self._by(self.network, windows, *args, **kwargs)

    def _by(self, network: Network, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Scores of windows by the network, or by what stands for it."""
        dtype = PRECISIONS[self.precision]
        if self.channels_last and windows.dim() in FORMATS:
            windows = windows.contiguous(memory_format=FORMATS[windows.dim()])
        with torch.autocast(windows.device.type, dtype, enabled=dtype != torch.float32):
            return network(windows, *args, **kwargs).float()


def is_channels_last(network: torch.nn.Module) -> bool:
    """Whether a network has weights with the channels behind the axes of space already."""
    return any(
        p.dim() in FORMATS
        and not p.is_contiguous()
        and p.is_contiguous(memory_format=FORMATS[p.dim()])
        for p in network.parameters()
    )


def _channels_last(network: torch.nn.Module) -> torch.nn.Module:
    for parameter in network.parameters():  # `Module.to` takes one number of axes only
        if parameter.dim() in FORMATS:
            parameter.data = parameter.data.contiguous(memory_format=FORMATS[parameter.dim()])
    return network
