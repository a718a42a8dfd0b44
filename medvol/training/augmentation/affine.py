# SPDX-License-Identifier: Apache-2.0
"""Random affine changes as MONAI draws them, sampled in float32 and, where they allow, by axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms.utils import create_rotate, create_scale, create_shear, create_translate
from monai.utils import fall_back_tuple
from torch import Tensor
from torch.nn import functional as F

from .crops import in_rows
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
        size = tuple(fall_back_tuple(affine.spatial_size, shape))
        if not stock._do_transform and size == shape:
            for key in stock.key_iterator(sample):
                sample[key] = sample[key].float()
            return [sample]
        matrix = torch.eye(len(size) + 1, dtype=torch.float64)  # halves of voxels must stay halves
        if stock._do_transform:
            affine.rand_affine_grid.randomize()
            matrix = drawn_matrix(affine.rand_affine_grid, len(size))
        whole = all(n <= own and (own - n) % 2 == 0 for n, own in zip(size, shape, strict=True))
        places = Places(matrix, size)
        for key, mode, padding in stock.key_iterator(sample, stock.mode, stock.padding_mode):
            affine.randomize()
            item = sample[key].float()
            if whole and not stock._do_transform:
                sample[key] = middle(item, size)
            else:
                sample[key] = places.read(item, mode=mode, padding=padding)
        return [sample]


def middle(item: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of an item, on whose voxels those of the result lie.

    Args:
        item: (C, X, Y) or (C, X, Y, Z).
        size: voxels, along each axis as many as the item has or an even number fewer.

    Example:
        >>> middle(torch.arange(6.0).reshape(1, 6, 1), (2, 1)).flatten().tolist()
        [2.0, 3.0]
    """
    for axis, wanted in enumerate(size, start=1):
        item = item.narrow(axis, (item.shape[axis] - wanted) // 2, wanted)
    return item


def drawn_matrix(grid: Any, axes: int) -> Tensor:
    """The matrix (axes + 1, axes + 1) float32 that MONAI composes of what was drawn.

    Args:
        grid: a `RandAffineGrid` that has drawn.
        axes: 2 or 3.
    """
    matrix = np.eye(axes + 1, dtype=np.float32)
    for make, drawn in (
        (create_rotate, grid.rotate_params), (create_shear, grid.shear_params),
        (create_translate, grid.translate_params), (create_scale, grid.scale_params),
    ):  # fmt: skip
        if drawn:
            matrix = matrix @ np.asarray(make(axes, drawn), np.float32)
    return torch.from_numpy(matrix)


class Places:
    """Where a matrix leads to, worked out once for items that are alike.

    Items and result have their origin in their middle.

    Args:
        matrix: (n + 1, n + 1) voxel of the result to voxel of an item, homogeneous.
        size: n voxels of the result.
    """

    def __init__(self, matrix: Tensor, size: tuple[int, ...]) -> None:
        self.matrix = matrix
        self.size = size
        self._grids: dict[tuple[int, ...], Tensor] = {}
        self._neighbours: dict[tuple[tuple[int, int], str], tuple[Tensor, Tensor | None]] = {}

    def read(self, item: Tensor, *, mode: str, padding: str) -> Tensor:
        """An item there.

        Args:
            item: (C, X, Y) or (C, X, Y, Z) float32.
            mode: "bilinear" (in three dimensions trilinear) or "nearest".
            padding: "zeros", "border" or "reflection", beyond the item.

        Returns:
            (C, *size).
        """
        apart = not self.matrix[:2, 2:-1].any() and not self.matrix[2:-1, :2].any()
        if padding == BORDER and item.ndim == 4 and apart:
            return self._by_axes(item, mode)
        return self._sampled(item, mode, padding)

    def _by_axes(self, item: Tensor, mode: str) -> Tensor:
        """Along the third axis first, then within its planes: they do not depend on each other.

        Within planes all of them share their places: rows of voxels are added, not voxels.
        """
        matrix, size = self.matrix, self.size
        channels, depth = item.shape[0], item.shape[3]
        planes = item.movedim(3, 1)  # (C, Z, X, Y)
        z = (_centred(size[2], matrix) * matrix[2, 2] + matrix[2, 3]) * (2.0 / max(2, depth))
        z = (((z + 1) * depth - 1) / 2).clamp(0, depth - 1)  # there and back as torch does: ties
        if mode == NEAREST:
            planes = planes.index_select(1, z.round().long())
        else:
            low = z.floor()
            share = (z - low).reshape(1, -1, 1, 1).float()
            high = (low.long() + 1).clamp(max=depth - 1)
            planes = torch.lerp(
                planes.index_select(1, low.long()), planes.index_select(1, high), share
            )  # fmt: skip
        rows = in_rows(planes.movedim(1, 3)).reshape(channels, -1, size[2])
        made = [self._in_planes(one, (item.shape[1], item.shape[2]), mode) for one in rows]
        return torch.stack(made).reshape(channels, *size)

    def _in_planes(self, rows: Tensor, extents: tuple[int, int], mode: str) -> Tensor:
        """Sums of some rows (X * Y, Z), each the voxels of all planes at one place."""
        if (extents, mode) not in self._neighbours:
            self._neighbours[extents, mode] = self._read_at(extents, mode)
        indices, weights = self._neighbours[extents, mode]
        if weights is None:
            return rows.index_select(0, indices)
        return F.embedding_bag(indices, rows, per_sample_weights=weights, mode="sum")

    def _read_at(self, extents: tuple[int, int], mode: str) -> tuple[Tensor, Tensor | None]:
        """Which voxels of a plane are read at each place (n, 4), and with which weights; of the
        nearest one (n,), without."""
        where = []
        for place, extent in zip(self._grid(extents)[0].flip(-1).unbind(-1), extents, strict=True):
            where.append((((place.flatten() + 1) * extent - 1) / 2).clamp(0, extent - 1))
        if mode == NEAREST:
            x, y = (at.round().int() for at in where)
            return x * extents[1] + y, None
        low = [at.floor() for at in where]
        (x, y), (x_share, y_share) = low, [at - floor for at, floor in zip(where, low, strict=True)]
        high = [(floor + 1).clamp(max=n - 1) for floor, n in zip(low, extents, strict=True)]
        indices = [row * extents[1] + column for row in (x, high[0]) for column in (y, high[1])]
        weights = [
            of_x * of_y for of_x in (1 - x_share, x_share) for of_y in (1 - y_share, y_share)
        ]
        return torch.stack(indices, 1).int(), torch.stack(weights, 1).float()

    def _sampled(self, item: Tensor, mode: str, padding: str) -> Tensor:
        """`torch.nn.functional.grid_sample` in float32."""
        grid = self._grid(item.shape[1:])
        return F.grid_sample(
            item[None].to(grid.dtype), grid, mode=mode, padding_mode=padding, align_corners=False
        )[0].float()

    def _grid(self, extents: Sequence[int]) -> Tensor:
        """Places in items of this many voxels as torch wants them, computed axis by axis.

        Args:
            extents: of all axes, or of the first two where planes are sampled.

        Returns:
            (1, *size, axes) from -1 to 1, the last axis first.
        """
        known = self._grids.get(tuple(extents))
        if known is not None:
            return known
        matrix, axes = self.matrix, len(extents)
        size = self.size[:axes]
        grid = torch.empty((1, *size, axes), dtype=matrix.dtype)
        for row, extent in enumerate(extents):
            scale = 2.0 / max(2, extent)
            steps = [
                (_centred(size[axis], matrix) * matrix[row, axis] * scale).reshape(
                    [-1 if a == axis else 1 for a in range(axes)]
                )
                for axis in range(axes)
            ]
            steps[0] += matrix[row, -1] * scale
            torch.add(sum(steps[1:-1], steps[0]), steps[-1], out=grid[0, ..., axes - 1 - row])
        self._grids[tuple(extents)] = grid
        return grid


def _centred(size: int, like: Tensor) -> Tensor:
    """Voxels of an axis from its middle."""
    return torch.arange(size, dtype=like.dtype) - (size - 1) / 2
