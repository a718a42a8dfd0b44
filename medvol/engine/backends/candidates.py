# SPDX-License-Identifier: Apache-2.0
"""The backends that may run a network, by name."""

from collections.abc import Mapping
from functools import partial

import torch

from ...errors import InputError
from .backend import Backend
from .by_gpu import COMPILED, GRAPHS, CompiledBackend, GraphsBackend
from .by_openvino import OpenvinoBackend, lacks
from .by_torch import TorchBackend, is_channels_last
from .gpu import device_of
from .trial import Make

TORCH, OPENVINO = "torch", "openvino"
FOR_ONE_SIZE = (OPENVINO, COMPILED)  # which take long where windows have many sizes


def candidates(network: torch.nn.Module, precision: str) -> Mapping[str, Make]:
    """What makes the backends that may run a network, by name; that of torch is the first.

    Args:
        network: in evaluation mode, on its device.
        precision: "fp32", "bf16" or "fp16".
    """
    others = [OPENVINO] if device_of(network).type == "cpu" else [GRAPHS, COMPILED]
    names = [TORCH, "torch-channels-last", *others]
    if is_channels_last(network):  # already, as its bundle has it
        names.remove("torch-channels-last")
    return {name: partial(made, name, network, precision, strict=True) for name in names}


def made(name: str, network: torch.nn.Module, precision: str, *, strict: bool) -> Backend:
    """A backend.

    Args:
        name: of `settings.BACKENDS`, not "auto".
        network, precision: as for `candidates`.
        strict: it refuses what it cannot run; else torch steps in.

    Raises:
        InputError: E_BUNDLE, it cannot run here.
    """
    if name == GRAPHS:
        return GraphsBackend(network, precision, strict=strict)
    if name == COMPILED:
        return CompiledBackend(network, precision, strict=strict)
    if name == OPENVINO and (device := device_of(network).type) != "cpu":
        raise InputError(
            "E_BUNDLE", "--backend openvino", lacks(device, precision),
            "Give --device cpu, or another backend.",
        )  # fmt: skip
    if name == OPENVINO:
        return OpenvinoBackend(network, precision, strict=strict)
    return TorchBackend(network, precision, channels_last=name != TORCH)
