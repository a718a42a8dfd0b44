# SPDX-License-Identifier: Apache-2.0
"""Random patches cut out of volumes, of which no more is read than the patch."""

from collections.abc import Callable
from typing import Any

from monai.transforms import SpatialCrop
from torch import Tensor

from .steps import BatchStep, Sample

Draw = Callable[[Any, Sample], None]


class CentredPatches(BatchStep):
    """MONAI's `RandCropByLabelClassesd` and `RandCropByPosNegLabeld`.

    Args:
        stock: the transform that it stands for; draws the centres.
        indices: names of its items with indices, which go into its `randomize` and are taken out.
    """

    reads_maps = True

    def __init__(self, stock: Any, indices: tuple[str | None, ...]) -> None:
        super().__init__(stock)
        self.indices = indices

    def on(self, sample: Sample) -> list[Sample]:
        given = [sample.pop(name, None) for name in self.indices]
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
                patch[key] = sample[key][(slice(None), *places)]
            made.append(patch)
        return made


class RandomPatch(BatchStep):
    """MONAI's `RandSpatialCropd` with random centres."""

    reads_maps = True

    def on(self, sample: Sample) -> list[Sample]:
        self.stock.randomize(sample[self.stock.first_key(sample)].shape[1:])
        for key in self.stock.key_iterator(sample):
            sample[key] = sample[key][(slice(None), *self.stock.cropper._slices)]
        return [sample]


def _sizes(given: Any, item: Tensor) -> list[int]:
    """One size an axis."""
    return [given] * (item.ndim - 1) if isinstance(given, int) else list(given)
