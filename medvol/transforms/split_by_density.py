# SPDX-License-Identifier: Apache-2.0
"""Ground-glass opacity and consolidation told apart by density, behind the network."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from ..density import is_dense
from ..spatial import spacing_mm
from .decide import best_of
from .intensity import LUNG_WINDOW_HU
from .keys import ItemTransform, plain


class SplitByDensityd(ItemTransform):
    """Of the two kinds of lesion, give the higher probability to the one that the HU speak for.

    In each voxel that is lesion, of either kind, the higher of the two probabilities goes to the
    dense kind where `density.is_dense` says so, else to the other, and the lower one to the other
    of the two. So what is lesion stays as it is, and how sure it is. It works on the network's
    grid, where the image is at hand and small.

    Args:
        keys: items with class probabilities (C, X, Y, Z).
        image_key: the network's input on the same grid, (1, X, Y, Z) in [0, 1], with its affine.
        window_hu: (low, high) in HU that the chain scaled to 0 and 1.
        kinds: values of the thin kind and of the dense kind, such as ground-glass opacity and
            consolidation.
        from_hu: of the dense kind, in HU, such as -350; None changes nothing.

    Attributes:
        in_place: probabilities are changed themselves, in place of a copy.

    Raises:
        ValueError: `from_hu` is not within the window, which hides what lies beyond.
    """

    in_place = False

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        *,
        window_hu: Sequence[float] = LUNG_WINDOW_HU,
        kinds: Sequence[int] = (1, 2),
        from_hu: float | None = None,
    ) -> None:
        super().__init__(keys)
        self.image_key = image_key
        self.low, self.high = window_hu
        self.thin, self.dense = kinds
        self.from_hu = from_hu
        if from_hu is not None and not self.low < from_hu < self.high:
            raise ValueError(
                f"from_hu is {from_hu:g}; give HU within {self.low:g} to {self.high:g}, or None"
            )

    def change(self, item: Tensor, _key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        if self.from_hu is None:
            return item
        labels = best_of(item, range(len(item)))[0]
        lesion = ((labels == self.thin) | (labels == self.dense)).cpu().numpy()
        if not lesion.any():
            return item
        image: MetaTensor = data[self.image_key]
        hu = np.asarray(plain(image)[0].cpu()) * (self.high - self.low) + self.low
        spacing = spacing_mm(np.asarray(image.affine, np.float64))
        found = is_dense(hu, lesion, spacing, from_hu=self.from_hu)
        dense, marked = (torch.from_numpy(x).to(item.device) for x in (found, lesion))
        pair = item[[self.thin, self.dense]]
        swapped = marked & ((pair[1] > pair[0]) != dense)
        made = item if self.in_place else item.clone()
        made[self.thin] = torch.where(swapped, pair[1], pair[0])
        made[self.dense] = torch.where(swapped, pair[0], pair[1])
        return made
