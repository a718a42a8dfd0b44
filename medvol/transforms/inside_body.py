# SPDX-License-Identifier: Apache-2.0
"""Keeping a network's scores inside the patient: table, foam and blankets can look like lung."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform

from .intensity import LUNG_WINDOW_HU
from .lung_crop import Mask, body_mask


def inside_body(volume_hu: npt.NDArray[Any]) -> Mask:
    """The patient with everything in it: in each axial slice, what lies between parts of the body.

    A voxel is inside when the body lies on both sides of it along x, or along y. So a lung that
    the field of view cuts is inside too, which the holes of the body would not give.

    Args:
        volume_hu: (X, Y, Z) in HU, z along the patient.

    Returns:
        (X, Y, Z) bool; all True when no body is found.
    """
    body = body_mask(volume_hu)
    return _between(body, 0) | _between(body, 1) if body.any() else np.ones_like(body)


def _between(body: Mask, axis: int) -> Mask:
    before = np.logical_or.accumulate(body, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(body, axis), axis=axis), axis)
    inside: Mask = before & after
    return inside


class KeepInsideBodyd(MapTransform):
    """Outside the patient, make class 0 (background) certain.

    Args:
        keys: items with class probabilities (C, X, Y, Z).
        image_key: the network's input on the same grid, (1, X, Y, Z) in [0, 1].
        window_hu: (low, high) in HU that the chain scaled to 0 and 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        window_hu: Sequence[float] = LUNG_WINDOW_HU,
    ) -> None:
        super().__init__(keys)
        self.image_key = image_key
        self.low, self.high = window_hu

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image = np.asarray(result[self.image_key][0].cpu())
        outside = torch.from_numpy(~inside_body(image * (self.high - self.low) + self.low))
        for key in self.key_iterator(result):
            scores = result[key].clone()
            where = outside.to(scores.device)
            scores[:, where] = 0
            scores[0, where] = 1
            result[key] = scores
        return result
