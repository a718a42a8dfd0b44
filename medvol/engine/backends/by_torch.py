# SPDX-License-Identifier: Apache-2.0
"""A network run by torch: under autocast, on the CPU one thread for each window of a batch."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ...inferers.precision import PRECISIONS, each_alone, one_thread_each


class TorchBackend:
    """Runs a network by torch.

    Args:
        network: in evaluation mode.
        precision: of `inferers.precision.PRECISIONS`.
    """

    name = "torch"

    def __init__(self, network: torch.nn.Module, precision: str) -> None:
        self.network, self.precision = network, precision
        self._workers: ThreadPoolExecutor | None = None
        self._open = ExitStack()

    @property
    def batch(self) -> int | None:
        """As of `backend.Backend`: a window a thread; on another device the bundle's own."""
        on_cpu = all(p.device.type == "cpu" for p in self.network.parameters())
        return torch.get_num_threads() if on_cpu else None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing yet."""
        return {}

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `backend.Backend`."""
        if windows.device.type != "cpu":
            return self._one(windows, *args, **kwargs)
        if self._workers is None:
            self._workers = self._open.enter_context(one_thread_each())
        return each_alone(self._workers, self._one, windows, *args, **kwargs)

    def to(self, device: torch.device | str) -> "TorchBackend":
        """The same on another device."""
        self.network.to(device)
        return self

    def close(self) -> None:
        """End the threads."""
        self._open.close()
        self._workers = None

    def _one(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        dtype = PRECISIONS[self.precision]
        with torch.autocast(windows.device.type, dtype, enabled=dtype != torch.float32):
            return self.network(windows, *args, **kwargs).float()
