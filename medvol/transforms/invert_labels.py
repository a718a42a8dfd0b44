# SPDX-License-Identifier: Apache-2.0
"""From a network's scores to labels on the input's own grid, one class at a time."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Invertd
from monai.transforms.inverse import InvertibleTransform
from torch import Tensor


class InvertLabelsd(Invertd):
    """Bring class probabilities back to the input's grid and keep the most probable class.

    Equal to `Invertd(nearest_interp=False)` followed by `AsDiscreted(argmax=True)`, but each class
    is brought back alone and only the best so far is kept, so that the memory at full size is two
    volumes, however many classes there are. What a crop removed is background for sure, so that
    nothing grows over the crop's border where the grids differ; with `Invertd` all probabilities
    are 0 there, and the least weight of a voxel inside wins. Among equal probabilities the smaller
    label wins.

    Args:
        keys: items with probabilities (C, *spatial), class 0 is background.
        transform: the chain that made the network's input.
        orig_keys: item with the network's input, whose applied operations are undone.
    """

    def __init__(
        self, keys: KeysCollection, transform: InvertibleTransform, orig_keys: str = "image"
    ) -> None:
        super().__init__(keys, transform=transform, orig_keys=orig_keys, nearest_interp=False)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            scores = result[key]
            if not torch.isfinite(scores).all():
                raise ValueError("the network gave scores that are no numbers; check its weights")
            best = 1 - self._restored(result, key, 1 - scores[:1])
            labels = torch.zeros(
                best.shape, dtype=torch.uint8 if len(scores) <= 256 else torch.int32
            )
            values = best.as_tensor()
            for value in range(1, len(scores)):
                restored = self._restored(result, key, scores[value : value + 1]).as_tensor()
                better = restored > values
                labels[better.cpu()] = value
                torch.maximum(values, restored, out=values)
            result[key] = MetaTensor(labels).copy_meta_from(best)
        return result

    def _restored(
        self, data: Mapping[Hashable, Any], key: Hashable, probability: Tensor
    ) -> MetaTensor:
        # Invertd passes over what is no MetaTensor
        restored: MetaTensor = super().__call__({**data, key: MetaTensor(probability)})[key]
        return restored
