# SPDX-License-Identifier: Apache-2.0
"""Which backend runs a network, and why."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch

from ...bundle.spec import Spec
from ..devices import choose_device
from ..settings import AUTO, USUAL, EngineSettings
from .backend import Backend
from .by_openvino import OpenvinoBackend, lacks
from .by_torch import TorchBackend, is_channels_last
from .facts import cores
from .remembered import Choice, key_of, recall
from .trial import Make

TORCH, OPENVINO = "torch", "openvino"
UNKNOWN = "none was measured here, as `medvol bundle backends` does"


class Chosen(NamedTuple):
    """A backend, and why it was chosen, in a few words."""

    backend: Backend
    why: str


def choose_backend(
    network: torch.nn.Module,
    *,
    precision: str,
    engine: EngineSettings = USUAL,
    choice: Choice | None = None,
) -> Chosen:
    """The backend that runs a network: that which is asked for, or was measured to be the fastest.

    Nothing is measured here, so that a small job does not wait for it. What was measured before
    and fails now gives way to torch; what is asked for does not.

    Args:
        network: in evaluation mode, on its device.
        precision: "fp32", "bf16" or "fp16".
        engine: how it is to run.
        choice: what was measured of this network on this machine; None where nothing was.

    Raises:
        InputError: E_BUNDLE, the backend that is asked for cannot run here.
    """
    if engine.backend != AUTO:
        return Chosen(_made(engine.backend, network, precision, strict=True), "asked for")
    if choice is None:
        return Chosen(TorchBackend(network, precision), UNKNOWN)
    if choice.backend == OPENVINO and (why := lacks(_device(network), precision)):
        return Chosen(TorchBackend(network, precision), why.rstrip("."))
    return Chosen(_made(choice.backend, network, precision, strict=False), choice.why)


def candidates(network: torch.nn.Module, precision: str) -> Mapping[str, Make]:
    """What makes the backends that may run a network, by name; that of torch is the first.

    Args:
        network, precision: as for `choose_backend`.
    """
    names = [TORCH, "torch-channels-last", OPENVINO]
    if is_channels_last(network):  # already, as its bundle has it
        names.remove("torch-channels-last")
    return {name: partial(_made, name, network, precision, strict=True) for name in names}


def remembered_choice(
    spec: Spec, engine: EngineSettings, *, device: str, precision: str | None
) -> Choice | None:
    """What was measured of a bundle's network on this machine; None where nothing was.

    Args:
        spec, engine, device, precision: as for `remembered_backend`.
    """
    if engine.stock or engine.backend != AUTO:
        return None
    threads = engine.threads or cores()
    kind = choose_device(device).type
    return recall(key_of(spec, threads=threads, device=kind, precision=precision))


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
    if engine.stock:
        return TORCH
    if engine.backend != AUTO:
        return engine.backend
    choice = remembered_choice(spec, engine, device=device, precision=precision)
    return choice.backend if choice else TORCH


def _made(name: str, network: torch.nn.Module, precision: str, *, strict: bool) -> Backend:
    if name == OPENVINO:
        return OpenvinoBackend(network, precision, strict=strict)
    return TorchBackend(network, precision, channels_last=name != TORCH)


def _device(network: torch.nn.Module) -> str:
    parameter = next(network.parameters(), None)
    return "cpu" if parameter is None else parameter.device.type
