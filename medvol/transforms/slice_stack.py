# SPDX-License-Identifier: Apache-2.0
"""A slab of neighbouring slices with the label of its middle, drawn from a volume for training."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms.transform import MapTransform, RandomizableTransform
from torch import Tensor

from ..slices import check_slices, read_slices, stack_slices
from .keys import ItemTransform, plain


class RandSliceStackd(RandomizableTransform, MapTransform):
    """One slab of a volume with the label of its middle slice, classes drawn by their ratios.

    First a class is drawn among those that the volume has, then one of the slices that hold it.

    Args:
        image_key: item (C, X, Y, Z) that becomes (C * slices, X, Y).
        label_key: item (1, X, Y, Z) that becomes (label_slices, X, Y), and its table of
            `SlicesOfClassesd` or
            `SliceClassesd` under `<label_key>_slices`, which is taken out.
        slices: of a slab, odd.
        label_slices: of the label, odd; as many as `slices` for transforms that change both, see
            `MiddleSliced`.
        ratios: one a class, background first, at least 0 each; a class with 0 is never drawn. None
            for all alike.

    Raises:
        ValueError: no middle slice; ratios that are negative or all 0.
    """

    def __init__(
        self,
        image_key: str = "image",
        label_key: str = "label",
        *,
        slices: int = 5,
        label_slices: int = 1,
        ratios: Sequence[float] | None = None,
    ) -> None:
        RandomizableTransform.__init__(self, prob=1.0)
        MapTransform.__init__(self, [image_key, label_key])
        if ratios is not None and (min(ratios) < 0 or max(ratios) <= 0):
            raise ValueError(f"ratios is {ratios}; give numbers of at least 0, one above 0")
        self.label_key = label_key
        self.slices = {
            image_key: check_slices(slices), label_key: check_slices(label_slices)
        }  # fmt: skip
        self.ratios = ratios
        self.middle = 0

    def randomize(self, data: Tensor) -> None:
        """Draw the middle slice.

        Args:
            data: (classes, Z) bool, which slices hold which class.

        Raises:
            ValueError: another number of ratios than classes.
        """
        super().randomize(None)
        ratios = torch.ones(len(data)) if self.ratios is None else torch.tensor(self.ratios)
        if len(ratios) != len(data):
            raise ValueError(f"ratios has {len(ratios)} values for {len(data)} classes")
        weights = (ratios * data.any(1)).double().numpy()
        if weights.sum() == 0:  # the volume has no class that is asked for: any of its slices
            self.middle = int(self.R.randint(data.shape[1]))
            return
        value = self.R.choice(len(weights), p=weights / weights.sum())
        self.middle = int(self.R.choice(data[value].nonzero()[:, 0].numpy()))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        self.randomize(result.pop(f"{self.label_key}_slices"))
        for key, slices in self.slices.items():
            start = self.middle - slices // 2
            sliced = read_slices(plain(data[key]), start, start + slices)
            result[key] = stack_slices(sliced, slices)[0]
        return result


class MiddleSliced(ItemTransform):
    """The middle slice of a slab: (slices, X, Y) to (1, X, Y)."""

    def change(self, item: Tensor, *_: Any) -> Tensor:
        return item[check_slices(len(item)) // 2][None]
