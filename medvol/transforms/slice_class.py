# SPDX-License-Identifier: Apache-2.0
"""What a slice classifier learns: a class per slice, out of the labels of its pixels."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from torch import Tensor


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


class SliceClassd(MapTransform):
    """Dictionary transform around `slice_class`.

    Args:
        keys: labels (1, X, Y) or (1, X, Y, Z).
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            label = result[key]
            plain = label.as_tensor() if isinstance(label, MetaTensor) else label
            result[key] = slice_class(plain)
        return result


class SlicePositiond(MapTransform):
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

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            label: MetaTensor = result[key]
            position = slice_position(label.shape[-1], self.classes).to(torch.uint8)
            filled = position.expand(label.shape).clone()
            result[key] = MetaTensor(filled).copy_meta_from(label)
        return result
