# SPDX-License-Identifier: Apache-2.0
"""Whether the weights of a file are those of a network: what is missing, unexpected or differs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

SUPERVISION = "supervision"  # heads of lower levels, which serve training alone
HEADS = ("head", "heads", SUPERVISION)  # what the last layers are called in medvol's networks
COUNTER = ".num_batches_tracked"  # older files lack it, and nothing reads it
SHOWN = 3  # names of each kind in a message
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


class Fit(NamedTuple):
    """Weights that a network takes, by its own names, and names of both sides that are left."""

    taken: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def fit_whole(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All weights of a network, by name.

    Args:
        own: the network's state dict.
        state: names to weights.

    Returns:
        `state`, in which counters of batches may be missing, and heads that serve training alone;
        such as the network lacks are left out.

    Raises:
        ValueError: a weight is missing, unexpected or of another shape; says how many, and which.

    Example:
        >>> import torch
        >>> fit_whole(nn.Linear(2, 3).state_dict(), {"bias": torch.zeros(4)})
        Traceback (most recent call last):
        ValueError: 1 of 2 weights is missing (weight), 1 differs (bias has shape (4,), ...
    """
    state = {name: x for name, x in state.items() if name in own or not trains_only(name)}
    missing = [
        name
        for name in own
        if name not in state and not name.endswith(COUNTER) and not trains_only(name)
    ]
    unexpected = [name for name in state if name not in own]
    _refuse(len(own), missing, unexpected, _differing(own, state))
    return state


def trains_only(name: str) -> bool:
    """Whether a weight serves training alone, by its name.

    Example:
        >>> trains_only("supervision.0.conv.bias"), trains_only("heads.0.conv.bias")
        (True, False)
    """
    return begins(name, [SUPERVISION])


def fit_partly(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    *,
    names: Mapping[str, str] | None = None,
    head: Collection[str] = (),
    may_lack: Sequence[str] = (),
) -> Fit:
    """The weights of a network that a file of another purpose has: all but the head.

    The file may have a head of its own: what lies in parts of which nothing is taken, or its last
    layer. Anything else in it that the network has no place for is of a deeper network.

    Args:
        own: the network's state dict.
        state: names to weights.
        names: of `state` to names in `own`; None where they are the same.
        head: names in `own` that may be missing or of another shape, and then keep their weights.
        may_lack: names in `own`, or beginnings up to a dot, that `state` may lack.

    Raises:
        ValueError: as for `fit_whole`, or nothing fits.
    """
    places = names or {name: name for name in state}
    given = {places[name]: value for name, value in state.items() if places[name] in own}
    free = {n for n in own if n in head or n.endswith(COUNTER) or begins(n, may_lack)}
    differing = _differing(own, given)
    taken = {name: value for name, value in given.items() if name not in differing}
    missing = [name for name in own if name not in given and name not in free]
    unexpected = [name for name in state if places[name] not in own]
    parts = {name.partition(".")[0] for name in state if places[name] in taken} - {*HEADS}
    last = module_of(next(reversed([*state]), ""))
    deeper = [
        name for name in unexpected if name.partition(".")[0] in parts and module_of(name) != last
    ]
    wrong = {name: shapes for name, shapes in differing.items() if name not in head}
    _refuse(len(own), missing, deeper, wrong)
    if not taken:
        raise ValueError("none of its weights fits the network")
    left = tuple(n for n in own if n not in taken and not n.endswith(COUNTER))
    return Fit(taken, left, tuple(unexpected))


def head_of(network: nn.Module) -> set[str]:
    """Names of the weights that give a network's scores: of `head` or `heads`, else the last layer.

    Example:
        >>> sorted(head_of(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU())))
        ['2.bias', '2.weight']
    """
    own = network.state_dict()
    if named := {name for name in own if name.partition(".")[0] in HEADS}:
        return named
    last = module_of(next(reversed([*own]), ""))
    return {name for name in own if module_of(name) == last}


def module_of(name: str) -> str:
    """The layer that a weight belongs to."""
    return name.rpartition(".")[0]


def begins(name: str, beginnings: Iterable[str]) -> bool:
    """Whether a name is one of some, or lies in a part of that name."""
    return any(name == part or name.startswith(f"{part}.") for part in beginnings)


def _differing(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Shapes]:
    return {
        name: (tuple(value.shape), tuple(own[name].shape))
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    }


def _refuse(
    count: int, missing: Sequence[str], unexpected: Sequence[str], differing: Mapping[str, Shapes]
) -> None:
    """Say in one line what does not fit, where something does not."""
    shapes = [f"{n} has shape {s[0]}, the network {s[1]}" for n, s in differing.items()]
    kinds = (
        (missing, f"of {count} weights {_is(missing)} missing"),
        (unexpected, f"{_is(unexpected)} unexpected"),
        (shapes, "differs" if len(shapes) == 1 else "differ"),
    )
    said = [f"{len(found)} {words} ({_first(found)})" for found, words in kinds if found]
    if said:
        raise ValueError(", ".join(said))


def _is(found: Sequence[str]) -> str:
    return "is" if len(found) == 1 else "are"


def _first(found: Sequence[str]) -> str:
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")
