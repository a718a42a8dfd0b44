# SPDX-License-Identifier: Apache-2.0
"""What a network predicts, brought back to the voxels and slices of the input."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Invertd
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import Transform
from torch import Tensor

from ..spatial import Affine, feet_head_axis
from .decide import BYTE, NOT_FINITE, Decision, labels_of
from .keys import ItemTransform, plain
from .traced import Undone, undone

PLANES = 8  # of scores at once, along the first axis
SURELY_BACKGROUND = Decision(surely_background=True)


class InvertLabelsd(Invertd):
    """Bring class probabilities back to the input's grid and keep the most probable class.

    Equal to `Invertd(nearest_interp=False)` followed by `AsDiscreted(argmax=True)`, but only what
    several classes can win is interpolated, see `decide`, and at full size there are labels alone.
    What a crop removed is background for sure, so that nothing grows over the crop's border where
    the grids differ; with `Invertd` all probabilities are 0 there, and the least weight of a voxel
    inside wins. Among equal probabilities the smaller label wins. Where the chain is not along the
    axes, each class is brought back alone and only the best so far is kept.

    Args:
        keys: items with probabilities (C, *spatial), class 0 is background.
        transform: the chain that made the network's input.
        orig_keys: item with the network's input, whose applied operations are undone.

    Raises:
        ValueError: when called, probabilities that are not finite numbers.
    """

    def __init__(
        self, keys: KeysCollection, transform: InvertibleTransform, orig_keys: str = "image"
    ) -> None:
        super().__init__(keys, transform=transform, orig_keys=orig_keys, nearest_interp=False)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key, orig_key in self.key_iterator(result, self.orig_keys):
            scores, image = plain(result[key]), data[orig_key]
            found = self.undone(scores.shape[1:], orig_key, image)
            if found is None:
                result[key] = self._class_by_class(result, key)
                continue
            labels = labels_of(scores.split(PLANES, 1), found.maps, SURELY_BACKGROUND)
            result[key] = found.placed(labels, image)
        return result

    def undone(self, shape: Sequence[int], orig_key: Hashable, image: MetaTensor) -> Undone | None:
        """What undoing the chain does to the grid; None where it is not along the axes.

        Args:
            shape: (X, Y, Z) of the network's grid.
            orig_key: name of its input.
            image: its input, (C, X, Y, Z).
        """
        return undone(self.transform, orig_key, shape, image.meta, image.applied_operations)

    def _class_by_class(self, data: Mapping[Hashable, Any], key: Hashable) -> MetaTensor:
        scores = data[key]
        if not torch.isfinite(scores).all():
            raise ValueError(NOT_FINITE)
        best = 1 - self._restored(data, key, 1 - scores[:1])
        labels = torch.zeros(best.shape, dtype=torch.uint8 if len(scores) <= BYTE else torch.int32)
        values = best.as_tensor()
        for value in range(1, len(scores)):
            restored = self._restored(data, key, scores[value : value + 1]).as_tensor()
            better = restored > values
            labels[better.cpu()] = value
            torch.maximum(values, restored, out=values)
        made: MetaTensor = MetaTensor(labels).copy_meta_from(best)
        return made

    def _restored(
        self, data: Mapping[Hashable, Any], key: Hashable, probability: Tensor
    ) -> MetaTensor:
        # Invertd passes over what is not a MetaTensor
        restored: MetaTensor = super().__call__({**data, key: MetaTensor(probability)})[key]
        return restored


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


def input_shape(image: MetaTensor) -> list[int]:
    """(X, Y, Z) of the input that a network's input was made of.

    Args:
        image: the network's input (C, X, Y, Z). Where its metadata do not say, because no reader
            made it (MONAI Deploy reads itself), the first step of its chain does.

    Raises:
        ValueError: nothing says.
    """
    shape = image.meta.get("spatial_shape")
    if shape is None:
        steps = image.applied_operations
        shape = steps[0].get("orig_size") if steps else None
    if shape is None:
        raise ValueError("the image has neither `spatial_shape` nor applied operations; load it")
    return [int(n) for n in shape]


class InvertSlicesd(ItemTransform):
    """Dictionary transform around `on_input_slices`.

    Args:
        keys: items (classes, Z) on the slices of the network's input; a missing one is passed over.
        orig_keys: item with the network's input, whose metadata say what the input was.
    """

    keeps_place = False

    def __init__(self, keys: KeysCollection, orig_keys: str = "image") -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.orig_keys = orig_keys

    def change(self, item: Tensor, _key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        image = data[self.orig_keys]
        shape = input_shape(image)
        given, own = (
            np.asarray(x, np.float64) for x in (image.meta["original_affine"], image.affine)
        )
        return on_input_slices(item, own, shape, given)


class Gated(Protocol):
    """What knows the probabilities of the latest volumes: `inferers.gated.GatedInferer`."""

    probability: Tensor | None


class GateProbabilityd(Transform):
    """Add the gate's probability of each slice, (1, Z), to the data; nothing where the gate is off.

    Args:
        keys: item to make.
        inferer: the gated inferer that has just run on this one volume.

    Raises:
        ValueError: when called, the inferer ran on several volumes.
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
