# SPDX-License-Identifier: Apache-2.0
"""What each slice of a label volume holds: its classes, the area of its lesion, its place."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from torch import Tensor

from ..spatial import spacing_mm
from .keys import ItemTransform

SMALLEST_MM2 = 50.0  # a lesion 8 mm across: less is easily a vessel, or the end of a lesion


def slices_of_classes(label: Tensor, classes: int) -> Tensor:
    """Which slices hold which class.

    Args:
        label: (1, X, Y, Z) integer labels.
        classes: background included.

    Returns:
        (classes, Z) bool.

    Example:
        >>> slices_of_classes(torch.tensor([[[[0, 2, 2]]]]), 3).tolist()
        [[True, False, False], [False, False, False], [False, True, True]]
    """
    return torch.stack([(label[0] == value).any(0).any(0) for value in range(classes)])


def slice_class(label: Tensor) -> Tensor:
    """The largest label of each slice: with one kind of lesion, whether the slice holds it.

    Args:
        label: (1, X, Y), or (1, X, Y, Z).

    Returns:
        () or (Z,) int64.

    Example:
        >>> slice_class(torch.tensor([[[[0, 0, 2], [0, 1, 0]]]])).tolist()
        [0, 1, 2]
    """
    return label[0].amax((0, 1)).long()


def slice_position(depth: int, classes: int) -> Tensor:
    """The part of a volume, from its lowest slices to its highest, that each slice lies in.

    Args:
        depth: slices of the volume.
        classes: parts, as equal as they can be.

    Returns:
        (depth,) int64, 0 to `classes` - 1.

    Example:
        >>> slice_position(5, 2).tolist()
        [0, 0, 1, 1, 1]
    """
    return ((torch.arange(depth) + 0.5) * classes / depth).long()


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


class SlicesOfClassesd(ItemTransform):
    """Add the table of `slices_of_classes` as `<key>_slices`; `RandSliceStackd` draws by it.

    It draws nothing, so that a cache keeps its result.

    Args:
        keys: labels (1, X, Y, Z).
        classes: background included.
    """

    keeps_place = False
    made = "{key}_slices"

    def __init__(self, keys: KeysCollection, classes: int) -> None:
        super().__init__(keys)
        self.classes = classes

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return slices_of_classes(item, self.classes)


class SliceClassd(ItemTransform):
    """Dictionary transform around `slice_class`.

    Args:
        keys: labels (1, X, Y) or (1, X, Y, Z).
    """

    keeps_place = False

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return slice_class(item)


class SlicePositiond(ItemTransform):
    """Put `slice_position` in the place of the labels, to train a body on slices without masks.

    Args:
        keys: labels (1, X, Y, Z), of which the grid alone is used.
        classes: parts of the volume, at least 2.

    Raises:
        ValueError: fewer parts.
    """

    def __init__(self, keys: KeysCollection, classes: int) -> None:
        super().__init__(keys)
        if classes < 2:
            raise ValueError(f"classes is {classes}; give 2 or more")
        self.classes = classes

    def change(self, item: Tensor, *_: Any) -> Tensor:
        position = slice_position(item.shape[-1], self.classes).to(torch.uint8)
        return position.expand(item.shape).clone()


class SliceAread(ItemTransform):
    """Label volumes to the area of lesion in each of their slices, (Z,) in mm^2.

    Args:
        keys: items (1, X, Y, Z), MetaTensors with an affine.
        values: labels that are counted together.
    """

    keeps_place = False

    def __init__(self, keys: KeysCollection, values: Sequence[int]) -> None:
        super().__init__(keys)
        self.values = list(values)

    def change(self, item: Tensor, key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        across, down, _ = spacing_mm(data[key].affine.cpu().numpy())
        return slice_area_mm2(item, self.values, across * down)


class SliceClassesd(SliceAread):
    """Add which slices of a label volume are negative and positive, as `<key>_slices`.

    `RandSliceStackd` draws by this table.

    Args:
        keys: items (1, X, Y, Z), MetaTensors with an affine.
        values: labels that are the lesion.
        smallest_mm2: of lesion in a positive slice.

    Raises:
        ValueError: the smallest area is not above 0.
    """

    made = "{key}_slices"

    def __init__(
        self, keys: KeysCollection, values: Sequence[int], smallest_mm2: float = SMALLEST_MM2
    ) -> None:
        super().__init__(keys, values)
        if smallest_mm2 <= 0:
            raise ValueError(f"smallest_mm2 is {smallest_mm2}; give more than 0")
        self.smallest_mm2 = smallest_mm2

    def change(self, item: Tensor, key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        return slice_classes(super().change(item, key, data), self.smallest_mm2)
