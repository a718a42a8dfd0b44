# SPDX-License-Identifier: Apache-2.0
"""Which backend runs a network, and why."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch

from ...bundle.spec import Spec
from ...errors import InputError
from ..devices import choose_device
from ..settings import AUTO, USUAL, EngineSettings
from .automatic import Automatic, Keep
from .backend import Backend
from .by_torch import TorchBackend
from .candidates import TORCH, made
from .facts import cores
from .remembered import Choice, choice_of, key_of, recall, remember


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
    keep: Keep | None = None,
) -> Chosen:
    """The backend that runs a network: that which is asked for, or was measured to be the fastest.

    Where nothing was measured, long work begins with a trial, see `automatic.Automatic`. What was
    measured and fails now gives way to torch; what is asked for does not.

    Args:
        network: in evaluation mode, on its device.
        precision: "fp32", "bf16" or "fp16".
        engine: how it is to run.
        choice: what was measured of this network on this machine; None where nothing was.
        keep: is called with what is measured in its course.

    Raises:
        InputError: E_BUNDLE, the backend that is asked for cannot run here.
        ValueError: what is given as a choice is none.
    """
    if engine.backend != AUTO:
        return Chosen(made(engine.backend, network, precision, strict=True), "asked for")
    if engine.choice is not None:
        fixed = _fixed(engine.choice)
        backend = made(fixed.backend, network, precision, strict=True)
        return Chosen(backend, f"asked for, {fixed.why}")
    try:
        automatic = Automatic(network, precision, choice=choice, keep=keep)
    except InputError as refusal:  # what was measured cannot run any more
        return Chosen(TorchBackend(network, precision), refusal.reason.rstrip("."))
    return Chosen(automatic, automatic.why)


def remembered_choice(
    spec: Spec, engine: EngineSettings, *, device: str, precision: str | None
) -> Choice | None:
    """What was measured of a bundle's network on this machine; None where nothing was.

    Args:
        spec, engine, device, precision: as for `remembered_backend`.
    """
    if engine.stock or engine.backend != AUTO or engine.choice is not None:
        return None
    return recall(_key(spec, engine, device=device, precision=precision))


def keeper(spec: Spec, engine: EngineSettings, *, device: str, precision: str | None) -> Keep:
    """What keeps a choice, so that `remembered_choice` gives it.

    Args:
        spec, engine, device, precision: as for `remembered_backend`.
    """
    return partial(remember, _key(spec, engine, device=device, precision=precision))


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
    if engine.choice is not None:
        return _fixed(engine.choice).backend
    choice = remembered_choice(spec, engine, device=device, precision=precision)
    return choice.backend if choice else TORCH


def _key(spec: Spec, engine: EngineSettings, *, device: str, precision: str | None) -> str:
    threads = engine.threads or cores()
    return key_of(spec, threads=threads, device=choose_device(device).type, precision=precision)


def _fixed(row: Mapping[str, Any]) -> Choice:
    try:
        return choice_of(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            "a choice of a backend is not what `medvol bundle backends --json` prints"
        ) from error
