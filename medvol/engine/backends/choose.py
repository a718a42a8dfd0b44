# SPDX-License-Identifier: Apache-2.0
"""Which backend runs a network, and why."""

from typing import NamedTuple

import torch

from ...bundle.spec import Spec
from ..settings import AUTO, EngineSettings
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


def remembered_backend(
    spec: Spec, engine: EngineSettings, *, device: str, precision: str | None
) -> str:
    """The backend that would run a bundle's network now, as far as is known without loading it.

    Args:
        spec: of the bundle.
        engine: how it is to run.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None for the bundle's own.
    """
    _ = spec, device, precision  # by which what was measured is found, once it is kept
    return "torch" if engine.stock or engine.backend == AUTO else engine.backend
