# SPDX-License-Identifier: Apache-2.0
"""Weights out of a file before a training or an evaluation starts: all of them, or all but a head.

MONAI's `CheckpointLoader` takes its own form of file alone, and says what does not fit over many
lines.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from ignite.engine import Engine, Events

from ..errors import InputError
from ..labels import same_names
from ..networks.fit import fit_partly, head_of
from ..networks.weights import load_weights, names_in, read_state
from .checkpoint import unwrapped


class LoadWeights:
    """Load all weights of a network when an engine starts. Attach it to an evaluator.

    Args:
        network: takes the weights.
        path: `.pt`, `.pth` or `.safetensors` file with a state dict, see `read_state`.
        device: where they are read to first.
        names: of the labels or classes that its scores are read as, see `load_weights`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        path: str | os.PathLike[str],
        *,
        device: torch.device | str = "cpu",
        names: Sequence[str] = (),
    ) -> None:
        self.network = unwrapped(network)
        self.path = Path(path)
        self.device = device
        self.names = tuple(names)

    def attach(self, engine: Engine) -> None:
        """Load when the engine starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Load.

        Raises:
            InputError: E_BUNDLE, E_LABELS, as for `load_weights`.
        """
        load_weights(self.path, self.network, self.device, names=self.names)


class StartFrom:
    """Take the weights in a file, but for the head, before the first epoch.

    A head (`head_of`) that is missing, of another shape, or for labels or classes of other names,
    keeps its random weights and is printed. A training that goes on from `Resume` keeps its own
    weights. Attach it to the trainer behind `Resume`.

    Args:
        network: that is trained.
        weights: `.pt`, `.pth` or `.safetensors` file with a state dict, see `read_state`.
        may_lack: names of weights, or beginnings of names, that the file may lack.
        names: of the labels or classes, in the order of the network's scores; () where nobody
            knows.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        weights: str | os.PathLike[str],
        *,
        may_lack: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> None:
        self.network = unwrapped(network)
        self.path = Path(weights)
        self.may_lack = tuple(may_lack)
        self.names = tuple(names)

    def attach(self, engine: Engine) -> None:
        """Load when the training starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load, unless the training was begun before.

        Raises:
            InputError: E_BUNDLE, no such file, no state dict, or one that does not fit.
        """
        if engine.state.epoch > 0:
            return
        own = self.network.state_dict()
        state, head = read_state(self.path, own), head_of(self.network)
        if not same_names(names_in(self.path), self.names):
            state = {name: value for name, value in state.items() if name not in head}
        try:
            found = fit_partly(own, state, head=head, may_lack=self.may_lack)
        except ValueError as error:
            raise InputError(
                "E_BUNDLE", self.path, f"the weights do not fit the network: {error}.",
                "Give weights of the same kind of network, depth and width, or name in "
                "`may_lack` what they may lack.",
            ) from error  # fmt: skip
        self.network.load_state_dict(found.taken, strict=False)
        left = ", ".join(found.missing) or "none"
        print(f"weights {self.path.name}: {len(found.taken)} taken; not in it: {left}")
