# SPDX-License-Identifier: Apache-2.0
"""A labelled volume through gate and segmenter, for the table of what the gate costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.datalist import LabelledCase
from ..engine.devices import part_of
from ..engine.pipeline import IMAGE
from ..errors import InputError
from ..images import read_image
from ..inferers.gated import GatedInferer
from ..metrics.masks.gate_cost import GateCase
from ..metrics.measurements import voxels_per_slice
from ..networks.weights import load_weights
from ..spatial import feet_head_axis, same_grid, voxel_volume_ml
from ..transforms.restore import slice_positions
from .predictor import Predictor


def gate_of(predictor: Predictor) -> GatedInferer:
    """The gated inferer of a bundle.

    Raises:
        InputError: E_BUNDLE, it has none.
    """
    gated = part_of(predictor.pipeline.inferer, GatedInferer)
    if gated is None:
        raise InputError(
            "E_BUNDLE", predictor.bundle.folder, "its inference.json has no GatedInferer.",
            "Add a gate as docs/cascade.md shows.",
        )  # fmt: skip
    return gated


def measure_case(
    predictor: Predictor,
    case: LabelledCase,
    *,
    gate_weights: Path | None = None,
    weights: Path | None = None,
) -> GateCase:
    """Segment a labelled volume once, with every slice, and ask the gate about each.

    Args:
        predictor: of a bundle with a gate; its threshold becomes 0.
        case: the volume and its truth.
        gate_weights: of the gate; None for the bundle's models/gate.pt.
        weights: of the segmenter; None for the bundle's own.

    Raises:
        InputError: the image, its label or the weights cannot be used.
    """
    gated, bundle, seen = gate_of(predictor), predictor.bundle, {}
    load_weights(gate_weights or bundle.gate, gated.gate.network)
    load_weights(weights or bundle.weights, predictor.pipeline.network)
    gated.gate.threshold = 0.0  # every slice passes, and the gate is asked all the same

    def restore(data: dict[str, Any]) -> dict[str, Any]:
        seen["affine"] = np.asarray(data[IMAGE].affine.cpu(), np.float64)
        return whole.restore(data)

    whole = predictor.pipeline
    predictor.pipeline = replace(whole, restore=restore)
    try:
        result = predictor.predict(case.image)
    finally:
        predictor.pipeline = whole
    image, label = result.image, read_image(case.label, kind="mask")
    if not same_grid(label.array.shape, label.affine, image.array.shape, image.affine):
        raise InputError(
            "E_GEOMETRY", case.label, "it does not lie on the grid of its image.",
            "Give a label with the shape and the affine of the image.",
        )  # fmt: skip
    probability = gated.probability if gated.probability is not None else torch.zeros(1, 0)
    at, inside = slice_positions(
        probability.shape[1], seen["affine"], image.array.shape, image.affine
    )
    nearest = np.where(inside, np.rint(at), -1).astype(int)
    axis, focus = feet_head_axis(image.affine), bundle.focus
    common = np.where(np.isin(label.array, focus), result.labels, 0)
    true, predicted, both = (
        voxels_per_slice(mask, focus)[axis] for mask in (label.array, result.labels, common)
    )
    return GateCase(
        case=case.case,
        probability=probability[0].numpy(),
        nearest=nearest.clip(max=probability.shape[1] - 1),
        true=true,
        predicted=predicted,
        both=both,
        voxel_ml=voxel_volume_ml(image.affine),
        gate_s=gated.gate_s,
        segment_s=result.run.times_s["network"] - gated.gate_s,
    )
