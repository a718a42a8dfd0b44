# SPDX-License-Identifier: Apache-2.0
"""Weights from a file into a network, or a refusal that says which file and why."""

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, require
from ..failures import of_the_system
from ..labels import check_names
from ..trained import Trained
from ..verified import source_of
from .fit import fit_whole, trains_only

# where checkpoints keep their state dict
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "averaged", "network")
WRAPPERS = ("module.", "_orig_mod.", "model.", "network.")  # of DistributedDataParallel,
# torch.compile and Lightning, before every name
RECORD = "medvol.record"  # key of a state dict's metadata; before, "medvol.names"
NAMES = "medvol.names"
SAVE = "Save network.state_dict() with torch.save; fetch a Git LFS pointer with git lfs pull."


def read_state(
    path: str | os.PathLike[str],
    own: Collection[str] = (),
    *,
    device: torch.device | str = "cpu",
    remedy: str = "Check the name.",
) -> dict[str, Tensor]:
    """The state dict in a file, without running anything that stands in it.

    Checkpoints are opened: {"state_dict": ...}, {"model_state_dict": ...}, {"model": ...} and
    medvol's own, {"network": ...}, whose averaged weights are taken where it has some.
    What `DistributedDataParallel`, `torch.compile` or Lightning put before every name is taken
    off, unless the network has such names itself.

    Args:
        path: `.safetensors`, or what `torch.save` wrote.
        own: names of the network that the weights are for.
        device: where the weights are read to.
        remedy: what the user can do when the file cannot be opened, one sentence.

    Returns:
        Names to weights.

    Raises:
        InputError: E_BUNDLE, it cannot be opened, holds no state dict, or a weight is not a
            finite number; E_CHANGED, see `medvol.verified`.
        ImportError: a `.safetensors` file without the package safetensors.
    """
    try:
        open(path, "rb").close()  # what is raised behind this is about the content
    except OSError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).", remedy
        ) from error
    try:
        state = _read(Path(path), device)
    except (ImportError, InputError):
        raise
    except Exception as error:  # pickle, zip, end of file and safetensors have no common ancestor
        if of_the_system(error):
            raise
        raise InputError(
            "E_BUNDLE", path, "it is not a state dict that torch.load(weights_only=True) accepts.",
            SAVE,
        ) from error  # fmt: skip
    for key in CHECKPOINT_KEYS:
        if isinstance(state, dict) and isinstance(state.get(key), dict) and state[key]:
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError("E_BUNDLE", path, "it holds something else than names with tensors.", SAVE)
    for name, value in state.items():
        if not torch.isfinite(value).all():
            what = "NaN" if value.isnan().any() else "infinite numbers"
            reason = f"the weights hold {what} in {name}."
            raise InputError("E_BUNDLE", path, reason, "Train again; it went astray.")
    return unwrapped(state, own)


def _read(path: Path, device: torch.device | str) -> Any:
    source = source_of(path)
    if path.suffix != ".safetensors":
        return torch.load(source, map_location=device, weights_only=True)
    package = require(
        "safetensors.torch", feature="reading .safetensors", install="medvol[weights]"
    )
    if isinstance(source, Path):
        return package.load_file(path, device=str(device))
    return {name: x.to(device) for name, x in package.load(source.getvalue()).items()}


def unwrapped(state: Mapping[str, Tensor], own: Collection[str] = ()) -> dict[str, Tensor]:
    """Names without what wrappers put before every one of them.

    Args:
        state: names to weights.
        own: names of the network; as soon as one of them is there, nothing more is taken off.

    Example:
        >>> list(unwrapped({"module.model.0.bias": Tensor()})), list(unwrapped(
        ...     {"module.model.0.bias": Tensor()}, own=["model.0.bias"]))
        (['0.bias'], ['model.0.bias'])
    """
    names = dict(state)
    while names and not names.keys() & set(own):
        wrapper = next((w for w in WRAPPERS if all(n.startswith(w) for n in names)), None)
        if wrapper is None:
            break
        names = {name.removeprefix(wrapper): value for name, value in names.items()}
    return names


def with_record(state: Mapping[str, Tensor], trained: Trained) -> dict[str, Tensor]:
    """A state dict that carries what it was trained for, as `record_in` finds.

    It lies where torch keeps the versions of modules, so that it is a plain state dict still.
    Weights that serve training alone are left out.

    Args:
        state: names to weights.
        trained: the record.
    """
    recorded: Any = OrderedDict((n, x) for n, x in state.items() if not trains_only(n))
    recorded._metadata = {**getattr(state, "_metadata", {}), RECORD: {RECORD: trained.to_json()}}
    result: dict[str, Tensor] = recorded
    return result


def record_in(path: str | os.PathLike[str]) -> Trained:
    """What the weights in a file were trained for; empty where it does not say, or is not there.

    Args:
        path: of what `with_record` made, or of a checkpoint of `medvol.training`.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        beside = getattr(stored, "_metadata", {})
        record = beside.get(RECORD, {}).get(RECORD) or {"names": beside.get(NAMES, {}).get(NAMES)}
        if isinstance(stored, dict) and isinstance(stored.get("names"), list):
            record = stored
        return Trained.of(record)
    except Exception:  # not a file of torch's present form; who reads the weights refuses it
        return Trained()


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take over all weights, or none.

    Args:
        network: takes the weights.
        state: names to weights.

    Raises:
        ValueError: a name is missing or unknown, or a weight has another shape; see `fit_whole`.
    """
    network.load_state_dict(fit_whole(network.state_dict(), state), strict=False)


def load_weights(
    path: str | os.PathLike[str],
    network: nn.Module,
    device: torch.device | str = "cpu",
    *,
    otherwise: str = "",
    names: Sequence[str] = (),
) -> None:
    """Load all weights of a network.

    Args:
        path: file with a state dict, see `read_state`.
        network: takes the weights.
        device: where the weights are read to first.
        otherwise: what the user can do without the file, such as "switch the gate off".
        names: of the labels or classes that its scores are read as; () where nobody knows.

    Raises:
        InputError: E_BUNDLE, no such file, no state dict, or one of another network; E_LABELS, the
            weights were trained for other names.
    """
    ways = f"train it, or {otherwise}" if otherwise else "or train it"
    parts = Path(path).parts[:-1]
    folder = "/".join(parts[parts.index("models") :]) if "models" in parts else "models"
    remedy = f"Copy {folder}/{os.path.basename(path)} into the bundle, {ways}."
    state = read_state(path, network.state_dict(), device=device, remedy=remedy)
    check_names(path, record_in(path).names, names)
    try:
        load_state(network, state)
    except ValueError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights do not fit the network: {error}.",
            "Take weights and configs from the same version of the bundle.",
        ) from error  # fmt: skip
