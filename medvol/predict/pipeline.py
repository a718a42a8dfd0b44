# SPDX-License-Identifier: Apache-2.0
"""A bundle's inference config as a row of parts: prepare, network over windows, restore."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, SaveImaged

from ..bundle.description import Description
from ..bundle.weights import check_chain
from ..errors import InputError
from ..inferers.precision import PrecisionInferer

IMAGE, PRED = "image", "pred"


@dataclass(frozen=True)
class Pipeline:
    """The parts of a bundle that one prediction runs, each with one job.

    Args:
        prepare: {"image": (X, Y, Z) MetaTensor} to the network's input (C, *spatial).
        inferer: runs the network over windows.
        network: in evaluation mode, on its device, weights loaded.
        restore: {"image": ..., "pred": (classes, *spatial)} to labels on the input's grid.
        spacing_mm: of the network's input, None when it is not resampled.
        device: of the network.
    """

    prepare: Callable[[dict[str, Any]], dict[str, Any]]
    inferer: Any
    network: torch.nn.Module
    restore: Callable[[dict[str, Any]], dict[str, Any]]
    spacing_mm: tuple[float, ...] | None
    device: torch.device


def build_pipeline(
    bundle: Description, device: torch.device, *, precision: str | None = None
) -> Pipeline:
    """Read `configs/inference.json`, build its parts and load the weights.

    Loading and saving of files are taken out of the transforms: reading and writing are stages of
    their own.

    Args:
        bundle: see `medvol.bundle.describe`.
        device: where the network runs.
        precision: "fp32" or "bf16"; None keeps the bundle's own.

    Raises:
        InputError: E_BUNDLE, the config cannot be read, a part is missing or cannot be built, the
            weights do not fit, or belong to another chain.
    """
    path = bundle.folder / "configs" / "inference.json"
    parser = ConfigParser()
    try:
        parser.read_config(str(path))
    except (OSError, ValueError) as error:
        raise _refused(path, f"it cannot be read: {_last_line(error)}.") from error
    parser["bundle_root"] = os.fspath(bundle.folder)
    parser["device"] = f"$torch.device({str(device)!r})"

    def part(name: str) -> Any:
        if name not in parser:
            raise _refused(path, f"it has no `{name}`.")
        try:
            return parser.get_parsed_content(name)
        except Exception as error:  # whatever a config names may raise whatever it likes
            raise _refused(path, f"`{name}` cannot be built: {_last_line(error)}.") from error

    preprocessing, postprocessing = part("preprocessing"), part("postprocessing")
    check_chain(bundle, getattr(preprocessing, "fingerprint", None))
    network = part("network") if "network" in parser else part("network_def").to(device)
    load_weights(bundle.weights, network, device)
    inferer = part("inferer")
    if precision is not None:
        inner = inferer.inferer if isinstance(inferer, PrecisionInferer) else inferer
        inferer = PrecisionInferer(inner, precision)
    return Pipeline(
        prepare=Compose(_without_loading(preprocessing)),
        inferer=inferer,
        network=network.eval(),
        restore=Compose([t for t in postprocessing.transforms if not isinstance(t, SaveImaged)]),
        spacing_mm=_spacing(preprocessing),
        device=device,
    )


def load_weights(path: Path, network: torch.nn.Module, device: torch.device) -> None:
    """Load a plain state dict into a network.

    Raises:
        InputError: E_BUNDLE, no such file, no state dict, or one of another network.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        state = state.get("model", state) if isinstance(state, dict) else state
        network.load_state_dict(state)
    except OSError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).",
            "Copy models/model.pt into the bundle, or train it.",
        ) from error  # fmt: skip
    except Exception as error:  # pickle, zip and shape errors have no common ancestor
        raise InputError(
            "E_BUNDLE", path, f"the weights do not fit the network: {_last_line(error)}.",
            "Take weights and configs from the same version of the bundle.",
        ) from error  # fmt: skip


def _without_loading(preprocessing: Compose) -> list[Any]:
    """The steps after loading; a loader that adds the channel axis leaves that step behind."""
    steps: list[Any] = []
    for step in preprocessing.flatten().transforms:
        if not isinstance(step, LoadImaged):
            steps.append(step)
        elif step._loader.ensure_channel_first:
            steps.append(_add_channel)
    return steps


def _add_channel(data: dict[str, Any]) -> dict[str, Any]:
    image: MetaTensor = data[IMAGE]
    return {**data, IMAGE: image.unsqueeze(0)}


def _spacing(preprocessing: Compose) -> tuple[float, ...] | None:
    settings = getattr(preprocessing, "settings", {})
    spacing: Sequence[float] | None = settings.get("spacing_mm")
    return tuple(spacing) if spacing else None


def _refused(path: Path, reason: str) -> InputError:
    return InputError("E_BUNDLE", path, reason, "Compare it with docs/bundles.md.")


def _last_line(error: BaseException) -> str:
    """The innermost cause in one line: MONAI wraps what went wrong in several layers."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")
