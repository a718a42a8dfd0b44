# SPDX-License-Identifier: Apache-2.0
"""What runs a network on windows, and what a record says of it."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """Runs a network on windows; an inferer calls it in the network's place.

    Attributes:
        name: of `settings.BACKENDS`, never "auto".
        settings: what a record names beside: windows at once, memory format, streams.
    """

    @property
    def name(self) -> str:
        """As above."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """As above."""

    @property
    def batch(self) -> int | None:
        """Windows that it is given at once at best; None for as many as the bundle says."""

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Scores of windows (B, C, *spatial), float32 (B, classes, *spatial); equal for equal
        windows, whichever others are beside them."""

    def to(self, device: torch.device | str) -> "Backend":
        """The same on another device, itself."""

    def close(self) -> None:
        """Give back threads and memory."""
