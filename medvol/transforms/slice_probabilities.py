# SPDX-License-Identifier: Apache-2.0
"""What a network says of slices, brought from its own slices to those of the input."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform, Transform
from torch import Tensor

from ..spatial import Affine, feet_head_axis


def slice_positions(
    slices: int, affine: Affine, input_shape: Sequence[int], input_affine: Affine
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Where the input's slices lie among those of the network.

    Args:
        slices: Z of the network's grid.
        affine: of the network's grid (X, Y, Z), slices along its last axis.
        input_shape: (X, Y, Z) of the input.
        input_affine: of the input.

    Returns:
        (N,) place in slices of the network, 0 is the middle of its first; and whether the place is
        within them, half a slice at the ends included. N counts the input's slices between feet
        and head.

    Raises:
        ValueError: the slices of the two grids are not parallel.
    """
    axis = feet_head_axis(input_affine)
    to_input = (np.linalg.inv(input_affine) @ affine)[axis]
    if np.abs(to_input[:2]).max() > 1e-4:
        raise ValueError(
            "the network's slices are tilted against those of the input; "
            "give a chain that only turns, resamples and crops"
        )
    at = (np.arange(input_shape[axis]) - to_input[3]) / to_input[2]
    return at, (at >= -0.5) & (at <= slices - 0.5)


def on_input_slices(
    values: Tensor, affine: Affine, input_shape: Sequence[int], input_affine: Affine
) -> Tensor:
    """Probabilities of a network's slices, interpolated along z onto the slices of the input.

    Both grids have one direction of slices: a chain turns and resamples axes, it does not tilt
    them. An input slice that lies beyond the network's slices, since a crop removed it, was not
    looked at: it is class 0 for certain.

    Args:
        values: (1, Z) probability of the positive class, or (classes, Z); class 0 is negative.
        affine, input_shape, input_affine: as for `slice_positions`, which also says what is raised.

    Returns:
        (classes, N) for the N slices of the input along its axis between feet and head.
    """
    at, inside = slice_positions(values.shape[1], affine, input_shape, input_affine)
    known = values.cpu().double().numpy()
    found = np.stack([np.interp(at, np.arange(values.shape[1]), row) for row in known])
    found[:, ~inside] = 0
    if len(found) > 1:
        found[0, ~inside] = 1
    return torch.from_numpy(found).float()


class InvertSlicesd(MapTransform):
    """Dictionary transform around `on_input_slices`.

    Args:
        keys: items (classes, Z) on the slices of the network's input; a missing one is passed over.
        orig_keys: item with the network's input, whose metadata say what the input was.
    """

    def __init__(self, keys: KeysCollection, orig_keys: str = "image") -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.orig_keys = orig_keys

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image = result[self.orig_keys]
        shape = [int(n) for n in image.meta["spatial_shape"]]
        given, own = (
            np.asarray(x, np.float64) for x in (image.meta["original_affine"], image.affine)
        )
        for key in self.key_iterator(result):
            result[key] = on_input_slices(result[key], own, shape, given)
        return result


class Gated(Protocol):
    """What knows the probabilities of the latest volumes: `inferers.gated.GatedInferer`."""

    probability: Tensor | None


class GateProbabilityd(Transform):
    """Add what the gate said of each slice, (1, Z), to the data; nothing where the gate is off.

    Args:
        keys: item to make.
        inferer: the gated inferer that has just run on this one volume.
    """

    def __init__(self, keys: str, inferer: Gated) -> None:
        self.key = keys
        self.inferer = inferer

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        probability = self.inferer.probability
        if probability is None:
            return dict(data)
        if len(probability) != 1:
            raise ValueError(
                f"the gate has seen {len(probability)} volumes at once; give a batch size of 1"
            )
        return {**data, self.key: probability}
