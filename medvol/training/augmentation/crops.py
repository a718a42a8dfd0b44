# SPDX-License-Identifier: Apache-2.0
"""Random patches cut out of volumes, of which no more is read than the patch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import SpatialCrop
from torch import Tensor

from .steps import BatchStep, Sample

Draw = Callable[[Any, Sample], None]


class CentredPatches(BatchStep):
    """MONAI's `RandCropByLabelClassesd`.

    Args:
        stock: the transform that it stands for; draws the centres.
        indices: names of its items with indices, which go into its `randomize` and are taken out.
    """

    reads_maps = True

    def __init__(self, stock: Any, indices: tuple[str | None, ...]) -> None:
        super().__init__(stock)
        self.indices = indices

    def on(self, sample: Sample) -> list[Sample]:
        given = self._given(sample)
        stock, cropper = self.stock, self.stock.cropper
        stock.randomize(sample.get(stock.label_key), *given, sample.get(stock.image_key))
        made = []
        for centre in cropper.centers:
            patch = dict(sample)
            for key in stock.key_iterator(sample):
                size = [
                    own if wanted <= 0 else wanted
                    for own, wanted in zip(
                        sample[key].shape[1:], _sizes(cropper.spatial_size, sample[key]),
                        strict=True,
                    )
                ]  # fmt: skip
                places = SpatialCrop.compute_slices(roi_center=centre, roi_size=size)
                patch[key] = dense(sample[key][(slice(None), *places)])
            made.append(patch)
        return made

    def _given(self, sample: Sample) -> list[Any]:
        """The items with indices; None each where the stock step finds them itself."""
        return [sample.pop(name, None) for name in self.indices]


class PosNegPatches(CentredPatches):
    """MONAI's `RandCropByPosNegLabeld`.

    Foreground and background are found as MONAI finds them in a label of float32. In one of uint8,
    as it lies in a file, MONAI's negation would make all voxels background.
    """

    def _given(self, sample: Sample) -> list[Any]:
        given, label = super()._given(sample), sample.get(self.stock.label_key)
        if label is None or all(indices is not None for indices in given):
            return given
        marked = (label[1:] if len(label) > 1 else label).numpy().any(0)
        image = sample.get(self.stock.image_key)
        rest = ~marked
        if image is not None:
            rest &= (image.numpy() > self.stock.cropper.image_threshold).any(0)
        return [Marked(marked), Marked(rest)]


class Marked:
    """The indices of the marked voxels of a mask, as `np.flatnonzero` gives them, each of them
    found when it is asked for.

    Args:
        mask: bool, any shape.

    Example:
        >>> marked = Marked(np.array([[True, False], [False, True]]))
        >>> len(marked), int(marked[1])
        (2, 3)
    """

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        self.mask = mask
        numbers = np.count_nonzero(mask, axis=tuple(range(1, mask.ndim)))
        self.upto = np.cumsum(numbers)  # each part along the first axis

    def __len__(self) -> int:
        return int(self.upto[-1])

    def __getitem__(self, number: int) -> int:
        part = int(np.searchsorted(self.upto, number, side="right"))
        before = int(self.upto[part - 1]) if part else 0
        inside = np.flatnonzero(self.mask[part])
        return part * self.mask[part].size + int(inside[number - before])


class RandomPatch(BatchStep):
    """MONAI's `RandSpatialCropd` with random centres."""

    reads_maps = True

    def on(self, sample: Sample) -> list[Sample]:
        self.stock.randomize(sample[self.stock.first_key(sample)].shape[1:])
        for key in self.stock.key_iterator(sample):
            sample[key] = dense(sample[key][(slice(None), *self.stock.cropper._slices)])
        return [sample]


def dense(patch: Tensor) -> Tensor:
    """A copy of a patch, of a volume slice by slice, which is how the steps behind it read one.

    Args:
        patch: (C, X, Y) or (C, X, Y, Z), a part of something larger.

    Example:
        >>> dense(torch.zeros(9, 5, 4, 3)[:1, :3, :2]).stride()
        (18, 2, 1, 6)
    """
    if patch.ndim < 4:
        return patch.clone(memory_format=torch.contiguous_format)
    return patch.movedim(3, 1).clone(memory_format=torch.contiguous_format).movedim(1, 3)


def in_rows(item: Tensor) -> Tensor:
    """An item as it is, contiguous: of one that lies slice by slice five times as fast as by torch.

    Args:
        item: any shape.

    Example:
        >>> in_rows(dense(torch.zeros(9, 5, 4, 3)[:1, :3, :2])).stride()
        (18, 6, 3, 1)
    """
    slices = item.movedim(-1, 1) if item.ndim == 4 else item
    if item.is_contiguous() or not slices.is_contiguous():
        return item.contiguous()
    made = item.new_empty(item.shape)
    for new, old in zip(made, slices, strict=True):
        new.view(-1, len(old)).copy_(old.view(len(old), -1).t())  # torch has this for two axes only
    return made


def _sizes(given: Any, item: Tensor) -> list[int]:
    """One size an axis."""
    return [given] * (item.ndim - 1) if isinstance(given, int) else list(given)
