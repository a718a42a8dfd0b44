# SPDX-License-Identifier: Apache-2.0
"""Which backend was the fastest for a bundle on this machine, as measured before and kept."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ...bundle.places import home_folder
from ...bundle.spec import Spec
from ...errors import InputError
from ...files import locked, read_json, sha256_of, write_json
from ..settings import BACKENDS
from .facts import machine_facts
from .gpu import gpu_name

LIST = "backends.json"  # in the user's home of medvol
MOST = 200  # that are kept; the oldest go first


@dataclass(frozen=True)
class Choice:
    """A backend, and what was measured when it was chosen.

    Args:
        backend: of `settings.BACKENDS`, never "auto".
        seconds: a window, of each backend that agreed.
        left_out: why the others were not taken, a sentence each.
        shape: of a window (C, *spatial).
    """

    backend: str
    seconds: Mapping[str, float]
    left_out: Mapping[str, str]
    shape: tuple[int, ...]

    @property
    def why(self) -> str:
        """In a few words.

        Example:
            >>> Choice("openvino", {"torch": 0.12, "openvino": 0.094}, {}, (1, 8, 8, 8)).why
            'measured: openvino 0.094 s a window, torch 0.12 s'
        """
        own = f"{self.backend} {self.seconds[self.backend]:.2g} s a window"
        others = {x: s for x, s in self.seconds.items() if x != self.backend}
        return "measured: " + ", ".join([own, *(f"{x} {s:.2g} s" for x, s in others.items())])

    def as_json(self) -> dict[str, Any]:
        """All of it by name."""
        return {**asdict(self), "shape": [*self.shape]}


def key_of(spec: Spec, *, threads: int, device: str, precision: str | None) -> str:
    """What stands for all that a choice depends on: machine, versions, bundle, how it is run.

    Args:
        spec: of the bundle.
        threads: that compute.
        device: type of it, such as "cpu".
        precision: that was asked for; None for the bundle's own.
    """
    config = spec.folder / "configs" / "inference.json"
    everything = {
        "machine": machine_facts(),
        "weights": spec.weights_sha256,
        "config": sha256_of(config) if config.is_file() else None,
        "run": [threads, device, precision],
        **({"gpu": gpu_name()} if device == "cuda" else {}),
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def remember(key: str, choice: Choice) -> None:
    """Keep a choice.

    Args:
        key: of `key_of`.
        choice: that was measured.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    path = home_folder() / LIST
    with locked(path):
        kept = {name: row for name, row in _rows().items() if name != key}
        write_json(path, dict([*kept.items(), (key, choice.as_json())][-MOST:]))


def recall(key: str) -> Choice | None:
    """The choice that is kept under a key; None where there is none, or what is kept is damaged.

    Args:
        key: of `key_of`.
    """
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        return choice_of(_rows()[key])
    return None


def choice_of(row: Mapping[str, Any]) -> Choice:
    """A choice of what `Choice.as_json` made of it.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is something else.

    Example:
        >>> choice = Choice("torch", {"torch": 0.5}, {"openvino": "it is not there."}, (1, 8, 8))
        >>> choice_of(choice.as_json()) == choice
        True
    """
    seconds = {str(name): float(s) for name, s in row["seconds"].items()}
    shape = tuple(int(n) for n in row["shape"])
    left_out = {str(name): str(why) for name, why in row["left_out"].items()}
    choice = Choice(str(row["backend"]), seconds, left_out, shape)
    if choice.backend not in BACKENDS or not {choice.backend, "torch"} <= seconds.keys():
        raise ValueError(f"{choice.backend!r} or torch was not measured, or it is not known")
    return choice


def _rows() -> dict[str, Any]:
    try:
        return read_json(home_folder() / LIST, what="list of backends", remedy="Remove it.")
    except InputError:  # there is none yet, or it is damaged: it is measured again
        return {}
