# SPDX-License-Identifier: Apache-2.0
"""Weights to start a training from: all that fit a network, and its head where it is for the same.

A head is for the same labels or classes where it has the same shape and, as far as their names are
known, they are the same. What a network names `calibration` is fitted anew and never taken.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from ..errors import InputError
from ..files import sha256_of
from ..labels import same_names
from .fit import Fit, begins, fit_partly, head_of
from .transfer import TransferNetwork
from .weights import read_state, record_in

Network = TypeVar("Network", bound=nn.Module)


def start_from(
    network: Network,
    weights: str | os.PathLike[str] | None = None,
    *,
    may_lack: Sequence[str] = (),
    names: Sequence[str] = (),
    keep_head: bool = True,
) -> Network:
    """Load the weights of a file that fit a network, and print what was loaded.

    Args:
        network: of any kind.
        weights: `.pt`, `.pth` or `.safetensors` file, see `read_state`; None loads nothing.
        may_lack: names, or beginnings of names, that the file may lack; of a classifier those
            within its body.
        names: of the labels or classes, in the order of the network's scores; () where nobody
            knows.
        keep_head: take a head for the same labels or classes; False takes none.

    Returns:
        `network`.

    Raises:
        InputError: E_BUNDLE, no such file, no state dict, or one that does not fit.
    """
    if weights is not None:
        found = fit_start(network, weights, may_lack=may_lack, names=names, keep_head=keep_head)
        network.load_state_dict(found.taken, strict=False)
        left, unused = (", ".join(part) or "none" for part in (found.missing, found.unexpected))
        print(f"weights {Path(weights).name}, sha256 {sha256_of(Path(weights))}")
        print(f"{len(found.taken)} taken; not in it: {left}; not used: {unused}")
    return network


def fit_start(
    network: nn.Module,
    weights: str | os.PathLike[str],
    *,
    may_lack: Sequence[str] = (),
    names: Sequence[str] = (),
    keep_head: bool = True,
) -> Fit:
    """What a training of a network would take from a file; nothing is loaded.

    Args:
        network, weights, may_lack, names, keep_head: as for `start_from`.

    Returns:
        By names of the network. A head for other labels or classes is among the missing.

    Raises:
        InputError: E_BUNDLE, as for `start_from`.
    """
    path = Path(weights)
    state = read_state(path, network.state_dict())
    fresh = set(getattr(network, "calibration", ()))
    if not keep_head or not same_names(record_in(path).names, names):
        fresh |= head_of(network)
    given = {name: value for name, value in state.items() if name not in fresh}
    try:
        if isinstance(network, TransferNetwork):
            return _fit_on_body(network, given, may_lack)
        return fit_partly(network.state_dict(), given, head=head_of(network) | fresh,
                          may_lack=may_lack)  # fmt: skip
    except ValueError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights do not fit the network: {error}.",
            "Give weights of the same kind of network, depth and width, name in `may_lack` what "
            "they may lack, or start from scratch.",
        ) from error  # fmt: skip


def _fit_on_body(
    network: TransferNetwork, state: Mapping[str, Tensor], may_lack: Sequence[str]
) -> Fit:
    """The body in any of the layouts that its class knows, and other parts if they are whole."""
    body, own = network.fit_body(state, may_lack=may_lack), network.state_dict()
    taken = {f"body.{name}": value for name, value in body.taken.items()}
    missing = [f"body.{name}" for name in body.missing]
    for part in dict.fromkeys(name.partition(".")[0] for name in own if not begins(name, ["body"])):
        names = sorted(name for name in own if begins(name, [part]))
        if all(name in state and state[name].shape == own[name].shape for name in names):
            taken |= {name: state[name] for name in names}
        else:
            missing += names
    unexpected = tuple(name for name in body.unexpected if name not in taken)
    return Fit(taken, tuple(missing), unexpected)
