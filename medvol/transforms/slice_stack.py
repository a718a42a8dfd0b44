# SPDX-License-Identifier: Apache-2.0
"""From a volume to slabs of neighbouring slices and back, and the random one of training."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import MapTransform, RandomizableTransform
from monai.utils.enums import TraceKeys
from torch import Tensor

from ..slices import check_slices, middle_slices, read_slices, stack_slices


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


class SliceStackd(MapTransform, InvertibleTransform):
    """All slabs of a volume; `inverse` puts their middle slices together again.

    Args:
        keys: items (C, X, Y, Z) that become (Z, C * slices, X, Y).
        slices: of a slab, odd; per key or for all. Take 1 for labels.

    Raises:
        ValueError: no middle slice.
    """

    def __init__(self, keys: KeysCollection, slices: int | Sequence[int] = 5) -> None:
        super().__init__(keys)
        counts = [slices] * len(self.keys) if isinstance(slices, int) else list(slices)
        if len(counts) != len(self.keys):
            raise ValueError(f"slices is {slices}; give one number, or one for each of {self.keys}")
        self.slices = {k: check_slices(n) for k, n in zip(self.keys, counts, strict=True)}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            volume, slices = MetaTensor(result[key]), self.slices[key]
            reach = slices // 2
            sliced = read_slices(_plain(volume), -reach, volume.shape[-1] + reach)
            result[key] = MetaTensor(stack_slices(sliced, slices)).copy_meta_from(volume)
            self.push_transform(result[key], extra_info={"slices": slices})
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            slabs: MetaTensor = result[key]
            slices = self.pop_transform(slabs)[TraceKeys.EXTRA_INFO]["slices"]
            result[key] = MetaTensor(middle_slices(_plain(slabs), slices)).copy_meta_from(slabs)
        return result


class SlicesOfClassesd(MapTransform):
    """Dictionary transform around `slices_of_classes`; its item is called `<key>_slices`.

    It draws nothing, so that a cache keeps its result.

    Args:
        keys: labels (1, X, Y, Z).
        classes: background included.
    """

    def __init__(self, keys: KeysCollection, classes: int) -> None:
        super().__init__(keys)
        self.classes = classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(data):
            result[f"{key}_slices"] = slices_of_classes(_plain(data[key]), self.classes)
        return result


class RandSliceStackd(RandomizableTransform, MapTransform):
    """One slab of a volume with the label of its middle slice, classes drawn by their ratios.

    First a class is drawn among those that the volume has, then one of the slices that hold it.

    Args:
        image_key: item (C, X, Y, Z) that becomes (C * slices, X, Y).
        label_key: item (1, X, Y, Z) that becomes (label_slices, X, Y), and its table of
            `SlicesOfClassesd` under `<label_key>_slices`, which is taken out.
        slices: of a slab, odd.
        label_slices: of the label, odd; as many as `slices` for transforms that change both, see
            `MiddleSliced`.
        ratios: one a class, background first; a class with 0 is never drawn. None for all alike.

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
            sliced = read_slices(_plain(data[key]), start, start + slices)
            result[key] = stack_slices(sliced, slices)[0]
        return result


class MiddleSliced(MapTransform):
    """The middle slice of a slab: (slices, X, Y) to (1, X, Y)."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = result[key][check_slices(len(result[key])) // 2][None]
        return result


def _plain(volume: Tensor) -> Tensor:
    """Without metadata, which indexing would carry along slowly."""
    return volume.as_tensor() if isinstance(volume, MetaTensor) else volume
