# SPDX-License-Identifier: Apache-2.0
"""A bundle's inference config as a row of parts: prepare, network over windows, restore."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, SaveImaged, Spacingd

from ..bundle.config import Config
from ..bundle.description import Description
from ..bundle.weights import check_chain
from ..errors import InputError
from ..inferers.precision import PrecisionInferer
from ..networks.weights import load_weights

IMAGE, PRED, SLICES = "image", "pred", "slices"
GATE = "gate_threshold"  # id in inference.json


@dataclass(frozen=True)
class Pipeline:
    """The parts of a bundle that one prediction runs, each with one job.

    Args:
        prepare: {"image": (X, Y, Z) MetaTensor} to the network's input (C, *spatial).
        inferer: runs the network over windows.
        network: in evaluation mode, on its device, weights loaded.
        restore: {"image": ..., "pred": (classes, *spatial)} to labels on the input's grid.
        spacing_mm: of the network's input, None when it is not resampled.
        fingerprint: of the chain that prepares; None for a chain that has none.
        device: of the network.
    """

    prepare: Callable[[dict[str, Any]], dict[str, Any]]
    inferer: Any
    network: torch.nn.Module
    restore: Callable[[dict[str, Any]], dict[str, Any]]
    spacing_mm: tuple[float, ...] | None
    fingerprint: str | None
    device: torch.device


class Parts(NamedTuple):
    """What `configs/inference.json` describes, built and with weights, as it stands there."""

    preprocessing: Compose
    postprocessing: Compose
    network: torch.nn.Module
    inferer: Any
    fingerprint: str | None


def build_pipeline(
    bundle: Description,
    device: torch.device,
    *,
    precision: str | None = None,
    gate: float | str | None = None,
) -> Pipeline:
    """The parts of a bundle for volumes, see `build_parts`.

    Loading and saving of files are taken out of the transforms: reading and writing are stages of
    their own.

    Args, Raises: as for `build_parts`.
    """
    parts = build_parts(bundle, device, precision=precision, gate=gate)
    restore = [t for t in parts.postprocessing.transforms if not _saves(t)]
    return Pipeline(
        prepare=Compose(_without_loading(parts.preprocessing)),
        inferer=parts.inferer,
        network=parts.network,
        restore=Compose(restore),
        spacing_mm=_spacing(parts.preprocessing),
        fingerprint=parts.fingerprint,
        device=device,
    )


def build_parts(
    bundle: Description,
    device: torch.device,
    *,
    precision: str | None = None,
    gate: float | str | None = None,
) -> Parts:
    """Read `configs/inference.json`, build its parts and load the weights.

    Args:
        bundle: see `medvol.bundle.describe`.
        device: where the network runs.
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.

    Returns:
        The parts; the network in evaluation mode, on the device.

    Raises:
        InputError: E_BUNDLE, the config cannot be read, a part is missing or cannot be built, the
            weights do not fit, or belong to another chain; a threshold for a bundle without a gate.
    """
    config = Config(
        bundle.folder / "configs" / "inference.json",
        bundle_root=os.fspath(bundle.folder),
        device=f"$torch.device({str(device)!r})",
    )
    if gate is not None:
        if GATE not in config:
            raise InputError(
                "E_BUNDLE", bundle.folder, f"its inference.json has no `{GATE}`, so no gate.",
                "Leave the threshold out, or add a gate as docs/cascade.md shows.",
            )  # fmt: skip
        config.parser[GATE] = None if gate == "off" else float(gate)
    preprocessing, postprocessing = config.build("preprocessing"), config.build("postprocessing")
    fingerprint = getattr(preprocessing, "fingerprint", None)
    check_chain(bundle, fingerprint)
    network = config.build("network" if "network" in config else "network_def").to(device)
    load_weights(bundle.weights, network, device)
    inferer = config.build("inferer")
    if precision is not None:
        inner = inferer.inferer if isinstance(inferer, PrecisionInferer) else inferer
        inferer = PrecisionInferer(inner, precision)
    return Parts(preprocessing, postprocessing, network.eval(), inferer, fingerprint)


def _without_loading(preprocessing: Compose) -> list[Any]:
    """The steps after loading; a loader that adds the channel axis leaves that step behind."""
    steps: list[Any] = []
    for step in preprocessing.flatten().transforms:
        if not isinstance(step, LoadImaged):
            steps.append(step)
        elif step._loader.ensure_channel_first:
            steps.append(_add_channel)
    return steps


def _saves(step: Any) -> bool:
    """Whether a step writes files, which is a stage of its own."""
    return isinstance(step, SaveImaged) or getattr(step, "writes_files", False)


def _add_channel(data: dict[str, Any]) -> dict[str, Any]:
    image: MetaTensor = data[IMAGE]
    return {**data, IMAGE: image.unsqueeze(0)}


def _spacing(preprocessing: Compose) -> tuple[float, ...] | None:
    """Spacing of the network's input, as a chain of medvol or MONAI's `Spacingd` has it."""
    spacing: Sequence[float] | float | None = getattr(preprocessing, "settings", {}).get(
        "spacing_mm"
    )
    for step in preprocessing.flatten().transforms:
        if isinstance(step, Spacingd):
            spacing = step.spacing_transform.pixdim
    return tuple(float(s) for s in spacing) if isinstance(spacing, Sequence) else None
