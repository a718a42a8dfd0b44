# SPDX-License-Identifier: Apache-2.0
"""Starting a classifier from weights in a file: those of others, or of an earlier stage."""

import os
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ..errors import InputError, require
from ..files import sha256_of

CHECKPOINT_KEYS = ("state_dict", "model")  # where checkpoints keep their state dict


class Classifier(Protocol):
    """A network with a body that takes weights of others; see `networks.transfer`."""

    def load_body(self, state: dict[str, Tensor]) -> tuple[tuple[str, ...], tuple[str, ...]]: ...
    def load_state_dict(self, state: dict[str, Tensor]) -> object: ...
    def freeze_body(self, frozen: bool = True) -> object: ...


C = TypeVar("C", bound=Classifier)


def start_from(
    network: C,
    weights: str | os.PathLike[str] | None = None,
    *,
    keep_head: bool = False,
    freeze_body: bool = False,
) -> C:
    """Load weights into a classifier's body, say what was loaded, and freeze it if asked.

    Args:
        network: whose body takes them, such as a `ResidualClassifier`.
        weights: `.pth`, `.pt` or `.safetensors` file with a state dict, see `read_state`; None
            loads nothing.
        keep_head: the file is of this very network, and its head is loaded too.
        freeze_body: let only the head train.

    Returns:
        `network`.

    Raises:
        InputError: E_PATH, no such file; E_FORMAT, no state dict; E_BUNDLE, it does not fit.
    """
    if weights is not None:
        path = Path(weights)
        state = read_state(path)
        try:
            missing: tuple[str, ...] = ()
            unexpected: tuple[str, ...] = ()
            if keep_head:
                network.load_state_dict(state)
            else:
                missing, unexpected = network.load_body(state)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                "E_BUNDLE", path, f"its weights do not fit: {str(error).splitlines()[0]}.",
                "Give weights of the same kind of network, depth and width.",
            ) from error  # fmt: skip
        print(f"weights {path.name}, sha256 {sha256_of(path)}")
        print(f"missing: {', '.join(missing) or 'none'}")
        print(f"unexpected: {', '.join(unexpected) or 'none'}")
    network.freeze_body(freeze_body)
    return network


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, without running anything that stands in it.

    Checkpoints are opened: {"state_dict": ...} and {"model": ...}, and names that all begin with
    "module.", as `DistributedDataParallel` writes them.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, it holds no state dict.
        ImportError: a `.safetensors` file without the package safetensors.
    """
    try:
        if path.suffix == ".safetensors":
            path.open("rb").close()  # its own error names no path
            load = require(
                "safetensors.torch", feature="reading .safetensors", install="medvol[weights]"
            ).load_file
            state = load(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(
            "E_PATH", path, f"the weights cannot be opened ({error.strerror}).", "Check the name."
        ) from error
    except ImportError:
        raise
    except Exception as error:  # pickle, zip, end of file and safetensors have no common ancestor
        raise InputError(
            "E_FORMAT", path, "it is no state dict that torch.load(weights_only=True) accepts.",
            "Save network.state_dict() with torch.save.",
        ) from error  # fmt: skip
    for key in CHECKPOINT_KEYS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            "E_FORMAT", path, "it holds something else than names with tensors.",
            "Save network.state_dict() with torch.save.",
        )  # fmt: skip
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state
