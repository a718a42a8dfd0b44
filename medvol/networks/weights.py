# SPDX-License-Identifier: Apache-2.0
"""Weights from a file into a network, or a refusal that says which file and why."""

import os

import torch

from ..errors import InputError


def load_weights(
    path: str | os.PathLike[str],
    network: torch.nn.Module,
    device: torch.device | str = "cpu",
    *,
    otherwise: str = "",
) -> None:
    """Load a plain state dict into a network.

    Args:
        path: file that `torch.save` wrote; the state dict itself, or {"model": state dict}.
        network: takes the weights.
        device: where the weights are read to first.
        otherwise: what the user can do without the file, such as "switch the gate off".

    Raises:
        InputError: E_BUNDLE, no such file, no state dict, or one of another network.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        ways = f"train it, or {otherwise}" if otherwise else "or train it"
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).",
            f"Copy models/{os.path.basename(path)} into the bundle, {ways}.",
        ) from error  # fmt: skip
    except Exception as error:  # pickle, zip and end of file have no common ancestor
        raise InputError(
            "E_BUNDLE", path, "it is no state dict that torch.load(weights_only=True) accepts.",
            "Save network.state_dict() with torch.save; fetch a Git LFS pointer with git lfs pull.",
        ) from error  # fmt: skip
    try:
        state = state.get("model", state) if isinstance(state, dict) else state
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise InputError(
            "E_BUNDLE", path, f"the weights do not fit the network: {reason}.",
            "Take weights and configs from the same version of the bundle.",
        ) from error  # fmt: skip
