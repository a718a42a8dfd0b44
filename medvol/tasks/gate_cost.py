# SPDX-License-Identifier: Apache-2.0
"""A labelled volume through gate and segmenter, for the table of what the gate costs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..data.datalist import LabelledCase
from ..data.items import true_labels
from ..engine.devices import part_of
from ..engine.steps import IMAGE
from ..errors import InputError
from ..inferers.gated import GatedInferer
from ..metrics.masks.gate_cost import GateCase
from ..metrics.measurements import voxels_per_slice
from ..networks.weights import load_weights
from ..spatial import feet_head_axis, voxel_volume_ml
from ..transforms.restore import slice_positions
from .task import Bundle


def gate_of(bundle: Bundle) -> GatedInferer:
    """The gated inferer of a bundle.

    Raises:
        InputError: E_BUNDLE, it has none.
    """
    gated = part_of(bundle.pipeline.inferer, GatedInferer)
    if gated is None:
        raise InputError(
            "E_BUNDLE", bundle.spec.folder, "its inference.json has no GatedInferer.",
            "Add a gate as docs/cascade.md shows.",
        )  # fmt: skip
    return gated


def measure_case(
    bundle: Bundle,
    case: LabelledCase,
    numbers: Mapping[int, int],
    *,
    gate_weights: Path | None = None,
    weights: Path | None = None,
) -> GateCase:
    """Segment a labelled volume once, with every slice, and ask the gate about each.

    Args:
        bundle: with a gate; its threshold becomes 0.
        case: the volume and its truth.
        numbers: value in the truth to the bundle's label, see `data.items.label_numbers`.
        gate_weights: of the gate; None for the bundle's models/slice_gate/weights.pt.
        weights: of the segmenter; None for the bundle's own.

    Raises:
        InputError: the image, its label or the weights cannot be used; E_GEOMETRY, the label does
            not lie on the image's grid; E_VALUES, it holds a value without name.
        ValueError: the bundle marks no voxels.
    """
    gated, spec = gate_of(bundle), bundle.spec
    load_weights(gate_weights or spec.gate, gated.gate.network)
    load_weights(weights or spec.weights, bundle.pipeline.network)
    gated.gate.threshold = 0.0  # every slice passes, and the gate is asked all the same
    answer = bundle.predict(case.image)
    mask = answer.mask
    if mask is None:
        raise ValueError(f"{spec.name} gives no mask; give a bundle that segments")
    image = answer.image
    truth = true_labels(case.label, image, numbers)
    probability = gated.probability if gated.probability is not None else torch.zeros(1, 0)
    seen = bundle.pipeline.prepare(image).data[IMAGE].affine.numpy().astype(np.float64)
    at, inside = slice_positions(probability.shape[1], seen, image.array.shape, image.affine)
    nearest = np.where(inside, np.rint(at), -1).astype(int)
    axis, focus = feet_head_axis(image.affine), spec.focus
    common = np.where(np.isin(truth, focus), mask, 0)
    true, predicted, both = (voxels_per_slice(mask, focus)[axis] for mask in (truth, mask, common))
    return GateCase(
        case=case.case,
        probability=probability[0].numpy(),
        nearest=nearest.clip(max=probability.shape[1] - 1),
        true=true,
        predicted=predicted,
        both=both,
        voxel_ml=voxel_volume_ml(image.affine),
        gate_s=gated.gate_s,
        segment_s=answer.run.times_s["network"] - gated.gate_s,
    )
