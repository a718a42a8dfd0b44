# SPDX-License-Identifier: Apache-2.0
"""How one voxel grid hangs on another: its axes in some order, and along each a small matrix.

Turning, flipping, cropping, padding and resampling along the axes are all of this form, and so is
whatever is made of them one after the other. So a chain of such steps is known from three small
matrices, whatever the size of the volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..spatial import Affine

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AxisMaps:
    """A grid, and how its values come from those of a first one.

    Args:
        sources: of each axis, the axis of the first grid that became it.
        matrices: of each axis (n, n_first), weights of the first grid's voxels; a row of zeros
            where nothing of the first grid reaches.
        affine: (4, 4) of the grid.
    """

    sources: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    affine: Affine

    @classmethod
    def first(cls, shape: Sequence[int], affine: Affine) -> "AxisMaps":
        """A grid as it is, before any step."""
        return cls(tuple(range(len(shape))), tuple(np.eye(n) for n in shape), affine)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the grid."""
        return tuple(len(matrix) for matrix in self.matrices)

    @cached_property
    def picks(self) -> bool:
        """Whether every value is one of the first grid's, or 0: nothing is interpolated."""
        return all(
            bool(np.isin(matrix, (0, 1)).all() and (matrix.sum(axis=1) <= 1).all())
            for matrix in self.matrices
        )

    def box(self, starts: Sequence[int], shape: Sequence[int]) -> "AxisMaps":
        """Another box of the same voxels, zeros where it reaches beyond the grid.

        Args:
            starts: first voxel along each axis, negative for zeros before the first.
            shape: voxels along each axis.

        Example:
            >>> line = AxisMaps.first((2,), np.eye(4)).box([-1], [2])
            >>> line.matrices[0].tolist()
            [[0.0, 0.0], [1.0, 0.0]]
        """
        cut = []
        for matrix, start, size in zip(self.matrices, starts, shape, strict=True):
            rows = np.zeros((size, matrix.shape[1]))
            low, high = max(start, 0), min(start + size, len(matrix))
            rows[low - start : high - start] = matrix[low:high]
            cut.append(rows)
        return replace(self, matrices=tuple(cut), affine=self.affine @ _shift(starts))

    def turned(self, orientation: npt.NDArray[np.float64]) -> "AxisMaps":
        """Axes flipped and put in another order.

        Args:
            orientation: as of `nibabel.orientations`: of each axis its new place, and 1 or -1.
        """
        from nibabel.orientations import inv_ornt_aff

        step = inv_ornt_aff(orientation, self.shape)
        order = np.argsort(orientation[:, 0])
        flipped = [
            m[:: int(sign)] for m, sign in zip(self.matrices, orientation[:, 1], strict=True)
        ]
        return AxisMaps(
            tuple(self.sources[axis] for axis in order),
            tuple(flipped[axis] for axis in order),
            self.affine @ step,
        )

    def resampled(self, matrices: Sequence[Matrix], affine: Affine) -> "AxisMaps":
        """Along each axis another grid.

        Args:
            matrices: of each axis (n, n before).
            affine: (4, 4) of the grid that they make.
        """
        made = tuple(new @ old for new, old in zip(matrices, self.matrices, strict=True))
        return replace(self, matrices=made, affine=affine)

    def by_source(self) -> tuple[Matrix, ...]:
        """The matrices (n, n_first) in the order of the first grid's axes."""
        return tuple(self.matrices[axis] for axis in np.argsort(self.sources))


def _shift(starts: Sequence[int]) -> Affine:
    step = np.eye(4)
    step[: len(starts), 3] = starts
    return step
