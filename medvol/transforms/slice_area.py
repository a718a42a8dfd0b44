# SPDX-License-Identifier: Apache-2.0
"""How much lesion each slice of a label volume holds, and so which slices count as positive."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..spatial import spacing_mm

SMALLEST_MM2 = 50.0  # a lesion 8 mm across: less is easily a vessel, or the end of a lesion


def slice_area_mm2(label: Tensor, values: Sequence[int], pixel_mm2: float) -> Tensor:
    """Area of some labels in each slice.

    Args:
        label: (1, X, Y, Z).
        values: labels that are counted together.
        pixel_mm2: area of a pixel of a slice.

    Returns:
        (Z,) float32, mm^2.

    Example:
        >>> slice_area_mm2(torch.tensor([[[[0, 1], [2, 3]]]]), [1, 2], 2.5).tolist()
        [2.5, 2.5]
    """
    inside = torch.isin(label[0], torch.as_tensor(list(values), device=label.device))
    return inside.sum((0, 1)).float() * pixel_mm2


def slice_classes(area_mm2: Tensor, smallest_mm2: float = SMALLEST_MM2) -> Tensor:
    """Which slices have no lesion, and which have one that counts.

    A slice with less than `smallest_mm2` of it is neither.

    Args:
        area_mm2: (Z,).
        smallest_mm2: of a lesion that counts, above 0.

    Returns:
        (2, Z) bool, negative and positive.

    Example:
        >>> slice_classes(torch.tensor([0.0, 12.0, 80.0])).tolist()
        [[True, False, False], [False, False, True]]
    """
    return torch.stack([area_mm2 == 0, area_mm2 >= smallest_mm2])


class SliceAread(MapTransform):
    """Label volumes to the area of lesion in each of their slices, (Z,) in mm^2.

    Args:
        keys: items (1, X, Y, Z), MetaTensors with an affine.
        values: labels that are counted together.
    """

    def __init__(self, keys: KeysCollection, values: Sequence[int]) -> None:
        super().__init__(keys)
        self.values = list(values)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(data):
            result[key] = _area(data[key], self.values)
        return result


class SliceClassesd(MapTransform):
    """Add which slices of a label volume are negative and positive, as `<key>_slices`.

    `RandSliceStackd` draws by this table.

    Args:
        keys: items (1, X, Y, Z), MetaTensors with an affine.
        values: labels that are the lesion.
        smallest_mm2: of lesion in a positive slice.

    Raises:
        ValueError: the smallest area is not above 0.
    """

    def __init__(
        self, keys: KeysCollection, values: Sequence[int], smallest_mm2: float = SMALLEST_MM2
    ) -> None:
        super().__init__(keys)
        if smallest_mm2 <= 0:
            raise ValueError(f"smallest_mm2 is {smallest_mm2}; give more than 0")
        self.values = list(values)
        self.smallest_mm2 = smallest_mm2

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(data):
            area = _area(data[key], self.values)
            result[f"{key}_slices"] = slice_classes(area, self.smallest_mm2)
        return result


def _area(label: MetaTensor, values: Sequence[int]) -> Tensor:
    across, down, _ = spacing_mm(label.affine.cpu().numpy())
    return slice_area_mm2(label.as_tensor(), values, across * down)
