# SPDX-License-Identifier: Apache-2.0
"""Random affine changes as MONAI draws them, sampled in float32 and, where they allow, by axes."""

from collections.abc import Sequence

import torch
from monai.utils import fall_back_tuple
from torch import Tensor
from torch.nn import functional as F

from .steps import BatchStep, Sample

LINEAR, NEAREST, BORDER = "bilinear", "nearest", "border"
MODES, PADDINGS = (LINEAR, NEAREST), ("zeros", BORDER, "reflection")


class AffineStep(BatchStep):
    """MONAI's `RandAffined`, of which the stock one keeps drawing the parameters."""

    def on(self, sample: Sample) -> list[Sample]:
        stock, first = self.stock, self.stock.first_key(sample)
        if first == ():
            return [sample]
        affine = self.stock.rand_affine
        stock.randomize(None)
        affine.randomize()  # that of MONAI is drawn here, and drawn again below: so its order is
        shape = tuple(sample[first].shape[1:])
        size = fall_back_tuple(affine.spatial_size, shape)
        moved = stock._do_transform
        if not moved and tuple(size) == shape:
            for key in stock.key_iterator(sample):
                sample[key] = sample[key].float()
            return [sample]
        matrix = torch.eye(len(size) + 1, dtype=torch.float64)  # halves of voxels must stay halves
        if moved:
            affine.rand_affine_grid(size, lazy=True)
            matrix = affine.rand_affine_grid.get_transformation_matrix().float()
        for key, mode, padding in stock.key_iterator(sample, stock.mode, stock.padding_mode):
            affine.randomize()
            sample[key] = resampled(sample[key].float(), matrix, size, mode=mode, padding=padding)
        return [sample]


def resampled(
    item: Tensor, matrix: Tensor, size: Sequence[int], *, mode: str, padding: str
) -> Tensor:
    """An item read where a matrix leads to; both grids have their origin in their middle.

    Args:
        item: (C, X, Y) or (C, X, Y, Z) float32.
        matrix: (n + 1, n + 1) voxel of the result to voxel of the item, homogeneous.
        size: n voxels of the result.
        mode: "bilinear" (in three dimensions trilinear) or "nearest".
        padding: "zeros", "border" or "reflection", beyond the item.

    Returns:
        (C, *size).
    """
    if padding == BORDER and item.ndim == 4 and not matrix[:2, 2].any() and not matrix[2, :2].any():
        return _by_axes(item, matrix, size, mode)
    return _sampled(item, matrix, size, mode, padding)


def _by_axes(item: Tensor, matrix: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """Along the third axis first, then within its planes: they do not depend on each other.

    Within planes all of them share their places, which torch computes many times as fast.
    """
    channels, depth = item.shape[0], item.shape[3]
    planes = item.movedim(3, 1)  # (C, Z, X, Y)
    z = (_centred(size[2], matrix) * matrix[2, 2] + matrix[2, 3]) * (2.0 / max(2, depth))
    z = (((z + 1) * depth - 1) / 2).clamp(0, depth - 1)  # there and back as torch does: same ties
    if mode == NEAREST:
        planes = planes.index_select(1, z.round().long())
    else:
        low = z.floor()
        share = (z - low).reshape(1, -1, 1, 1).float()
        high = (low.long() + 1).clamp(max=depth - 1)
        planes = torch.lerp(
            planes.index_select(1, low.long()), planes.index_select(1, high), share
        )  # fmt: skip
    within = matrix[[0, 1, 3]][:, [0, 1, 3]]
    flat = planes.reshape(-1, *planes.shape[2:])
    made = _sampled(flat, within, size[:2], mode, BORDER)
    return made.reshape(channels, size[2], size[0], size[1]).movedim(1, 3)


def _sampled(item: Tensor, matrix: Tensor, size: Sequence[int], mode: str, padding: str) -> Tensor:
    """`torch.nn.functional.grid_sample` in float32, its places computed axis by axis."""
    axes = len(size)
    places = []
    for row, extent in zip(range(axes), item.shape[1:], strict=True):
        place = matrix[row, axes]
        for axis in range(axes):
            steps = _centred(size[axis], matrix) * matrix[row, axis]
            place = place + steps.reshape([-1 if a == axis else 1 for a in range(axes)])
        places.append(place * (2.0 / max(2, extent)))
    grid = torch.stack([place.expand(*size) for place in reversed(places)], -1)
    return F.grid_sample(
        item[None].to(grid.dtype), grid[None], mode=mode, padding_mode=padding, align_corners=False
    )[0].float()


def _centred(size: int, like: Tensor) -> Tensor:
    """Voxels of an axis from its middle."""
    return torch.arange(size, dtype=like.dtype) - (size - 1) / 2
