# SPDX-License-Identifier: Apache-2.0
"""Which backend runs a network, and why."""

from typing import NamedTuple

import torch

from .backend import Backend
from .by_torch import TorchBackend


class Chosen(NamedTuple):
    """A backend, and why it was chosen, in a few words."""

    backend: Backend
    why: str


def choose_backend(network: torch.nn.Module, *, precision: str) -> Chosen:
    """The backend that runs a network.

    Args:
        network: in evaluation mode, on its device.
        precision: "fp32", "bf16" or "fp16".
    """
    return Chosen(TorchBackend(network, precision), "the only one there is")
