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

from ..bundle.spec import spec_in
from ..bundle.weights_record import check_trained
from ..networks.start import start_from
from ..networks.weights import load_weights, record_in
from .checkpoint import unwrapped


class WeightsCheckpointLoader:
    """Load all weights of a network when an engine starts. Attach it to an evaluator.

    Its name holds `CheckpointLoader`, because MONAI's federated client switches off the handlers of
    an evaluation that are called so: there the weights come from the server.

    Those of a bundle, in its folder models, are compared with its metadata, see
    `bundle.weights_record`; where no record speaks for them, a line says so.

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
        bundle = self.path.absolute().parent.parent
        if (bundle / "configs" / "metadata.json").is_file():
            spec = spec_in(bundle, weights=self.path)
            for note in check_trained(spec, record_in(self.path), self.names):
                print(note)


class StartFrom:
    """Take the weights in a file before the first epoch, see `networks.start.start_from`.

    It is for configs that have no `pretrained`. A training that goes on from `Resume` keeps its own
    weights. Attach it to the trainer behind `Resume`.

    Args:
        network: that is trained.
        weights: `.pt`, `.pth` or `.safetensors` file with a state dict, see `read_state`.
        may_lack, names: as for `start_from`.
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
            InputError: E_BUNDLE, as for `start_from`.
        """
        if engine.state.epoch == 0:
            start_from(self.network, self.path, may_lack=self.may_lack, names=self.names)
