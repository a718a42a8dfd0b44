# SPDX-License-Identifier: Apache-2.0
"""`Spacingd` along a volume's own axes: its grid, positions, paddings and trace are MONAI's own."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.networks.layers import AffineTransform
from monai.transforms import Affine, Spacingd, SpatialResample
from monai.transforms.inverse import TraceableTransform
from monai.transforms.utils import create_translate
from monai.transforms.utils import resolves_modes as modes_of
from monai.utils import get_equivalent_dtype

from ...transforms.resample import ResampleSpacingd, weights_of
from ...transforms.separable import Along
from .grid import Item, Known, Pending, empty

SAME = 1e-3  # MONAI's AFFINE_TOL: grids that differ by less are one grid
ASTRAY_VOXELS = 1e-8  # that a position may move with the other axes: 3000 HU a voxel give 3e-5 HU
TIE_VOXELS = (
    1e-6  # a position so near to the middle of two voxels: rounding decides which is nearer
)
NO_WEIGHT = 1e-9  # less is the far end of a spline. Of lines a rounding error counts: by it MONAI
# decides whether the neighbour of a voxel is empty, which a crop and a mean of what is not may ask
CUBIC = 3  # order of the splines
CUBIC_PADDINGS = ("border", "nearest", "mirror", "reflect")  # equal along each axis by itself

Xform = npt.NDArray[np.float64]


class Interpolation(NamedTuple):
    """How MONAI reads a volume between its voxels: the arguments of `SpatialResample`.

    Args:
        mode: "bilinear", "nearest" or 3, cubic splines.
        padding_mode: what lies beyond the ends.
        align_corners: as in `grid_sample`.
        dtype: in which positions are computed.
    """

    mode: str | int
    padding_mode: str
    align_corners: bool
    dtype: torch.dtype


class Line(NamedTuple):
    """Where the voxels of a new axis lie on an old one: at `offset + step * index`, in old voxels.

    Args:
        axis: of the old grid.
        step: in old voxels, below 0 where the new axis runs the other way.
        offset: of the first new voxel, in old voxels.
    """

    axis: int
    step: float
    offset: float


def lines_of(xform: Xform, new_size: Sequence[int]) -> tuple[Line, ...] | None:
    """For each new axis the old one that it runs along; None where the grids are not parallel.

    Args:
        xform: (4, 4), new voxel indices to old ones.
        new_size: voxels of the new grid.

    Example:
        >>> turned = np.array([[0, 2.0, 0, 0], [1, 0, 0, 0], [0, 0, -1, 9], [0, 0, 0, 1]])
        >>> [tuple(line) for line in lines_of(turned, (4, 4, 4))]
        [(1, 1.0, 0.0), (0, 2.0, 0.0), (2, -1.0, 9.0)]
    """
    turn = xform[:-1, :-1]
    of = [int(axis) for axis in np.abs(turn).argmax(axis=0)]
    if sorted(of) != list(range(len(turn))):
        return None
    astray = np.abs(turn) * (np.asarray(new_size) - 1)
    astray[of, range(len(of))] = 0
    if not np.isfinite(xform).all() or astray.sum(axis=1).max() > ASTRAY_VOXELS:
        return None
    return tuple(Line(a, float(turn[a, j]), float(xform[a, -1])) for j, a in enumerate(of))


def along_axes(
    xform: Xform, size: Sequence[int], new_size: Sequence[int], how: Interpolation
) -> tuple[list[Along], list[int]] | None:
    """How MONAI's `SpatialResample` reads a volume, axis by axis.

    Args:
        xform: (4, 4), new voxel indices to old ones.
        size, new_size: voxels of the old and of the new grid.
        how: it is read between voxels.

    Returns:
        of each old axis how it is read, and which of them each new axis is; None where that is not
        known to be equal.
    """
    lines = lines_of(xform, new_size)
    if lines is None or not _is_known(how):
        return None
    if how.mode == "nearest" and any(map(_rounds_apart, lines, new_size, [xform] * len(lines))):
        return None
    read = {
        line.axis: _along(line, size[line.axis], number, how)
        for line, number in zip(lines, new_size, strict=True)
    }
    return [read[axis] for axis in range(len(size))], [line.axis for line in lines]


def _is_known(how: Interpolation) -> bool:
    if how.mode == CUBIC:
        return how.padding_mode in CUBIC_PADDINGS
    return how.mode in ("bilinear", "nearest")


def _rounds_apart(line: Line, number: int, xform: Xform) -> bool:
    """Whether other axes may decide by a rounding error which of two voxels is nearer."""
    others = np.delete(xform[line.axis, :-1], np.abs(xform[line.axis, :-1]).argmax())
    if not others.any():
        return False
    at = line.offset + line.step * np.arange(number)
    return bool((np.abs(at - np.floor(at) - 0.5) < TIE_VOXELS).any())


@lru_cache(maxsize=16)
def _along(line: Line, size: int, number: int, how: Interpolation) -> Along:
    """MONAI itself reads a small volume for each old voxel, which is 1 in it: these are weights.

    The axis has its place among the others, so that sums are rounded as they are in a volume. The
    others are one voxel long, which no spline changes; or two, since one has no corners to align.
    """
    others = 1 if how.mode == CUBIC else 2
    spatial = [others] * 3
    spatial[line.axis] = number
    units = torch.eye(size, dtype=how.dtype)
    units = units.reshape(size, *(size if axis == line.axis else 1 for axis in range(3)))
    units = units.expand(size, *(size if axis == line.axis else others for axis in range(3)))
    xform = torch.eye(4, dtype=torch.float64)
    xform[line.axis, line.axis], xform[line.axis, 3] = line.step, line.offset
    read = (_spline if how.mode == CUBIC else _sampled)(units, xform, spatial, how)
    exact = read.movedim(line.axis + 1, 1)[:, :, 0, 0].T
    if how.mode == CUBIC:
        exact = exact.where(exact.abs() > NO_WEIGHT, 0)
    return Along.of(exact.to(torch.float32))


def _sampled(
    units: torch.Tensor, xform: torch.Tensor, spatial: list[int], how: Interpolation
) -> torch.Tensor:
    _, mode, padding, _ = modes_of(how.mode, how.padding_mode)
    sample = AffineTransform(
        normalized=False, mode=mode, padding_mode=padding, align_corners=how.align_corners,
        reverse_indexing=True,
    )  # fmt: skip
    read: torch.Tensor = sample(units[None], theta=xform.to(how.dtype), spatial_size=spatial)[0]
    return read


def _spline(
    units: torch.Tensor, xform: torch.Tensor, spatial: list[int], how: Interpolation
) -> torch.Tensor:
    middle = torch.as_tensor(create_translate(3, [(n - 1) / 2 for n in spatial]))
    step = Affine(
        affine=xform @ middle.to(xform), spatial_size=spatial, normalized=True, image_only=True,
        dtype=how.dtype, align_corners=how.align_corners,
    )  # fmt: skip
    read: torch.Tensor = step(units, mode=how.mode, padding_mode=how.padding_mode)
    return torch.as_tensor(read)


class _Unknown(Exception):
    """The grids are not parallel, or it is read in a way that is not known."""


class Reading:
    """Stands in for the `SpatialResample` of a `Spacing`: the same metadata, no voxels.

    Args:
        stock: whose place it takes, and whose name and number stand in the trace.
        pending: the volumes, in the order in which they come.

    Attributes:
        moved: the same on their new grids, once they came.
    """

    def __init__(self, stock: SpatialResample, pending: Iterable[Pending]) -> None:
        self.stock = stock
        self.align_corners = stock.align_corners
        self.pending = iter(pending)
        self.moved: list[Pending] = []

    def __call__(
        self, image: MetaTensor, dst_affine: torch.Tensor, spatial_size: Sequence[int], **given: Any
    ) -> MetaTensor:
        """The image on the new grid.

        Args:
            image: (C, X, Y, Z), without voxels.
            dst_affine: (4, 4) of the new grid.
            spatial_size: of the new grid.
            **given: mode, padding and the like, where they differ from the step's.

        Returns:
            (C, *spatial_size), without voxels.
        """
        how = self._how(image, given)
        size, new_size = list(image.shape[1:]), [int(n) for n in spatial_size]
        before = image.affine.to(torch.float64)
        dst_affine = dst_affine.to(torch.float64)
        xform = np.linalg.solve(np.asarray(before), np.asarray(dst_affine))
        found = along_axes(xform, size, new_size, how)
        if found is None:
            raise _Unknown
        same = size == new_size and (
            np.allclose(before, dst_affine, atol=SAME) or np.allclose(xform, np.eye(4), atol=SAME)
        )
        traced = TraceableTransform.track_transform_meta(
            image,
            sp_size=torch.tensor(new_size),
            affine=None if same else torch.from_numpy(xform),
            extra_info={
                "dtype": str(how.dtype).removeprefix("torch."),
                "mode": how.mode,
                "padding_mode": how.padding_mode,
                "align_corners": how.align_corners,
                "src_affine": before,
            },
            orig_size=tuple(image.shape[1:]),
            transform_info=self.stock.get_transform_info(),
            lazy=False,
        )
        moved = empty((len(image), *new_size), image).copy_meta_from(traced)
        found = _as_they_are(size) if same else found
        self.moved.append(next(self.pending).resampled(moved, *found))
        return moved

    def _how(self, image: MetaTensor, given: dict[str, Any]) -> Interpolation:
        mode, padding, corners = (
            getattr(self.stock, name) if given.get(name) is None else given[name]
            for name in ("mode", "padding_mode", "align_corners")
        )
        dtype = given.get("dtype") or self.stock.dtype or image.dtype
        return Interpolation(
            getattr(mode, "value", mode), getattr(padding, "value", padding), corners,
            get_equivalent_dtype(dtype, torch.Tensor),
        )  # fmt: skip


def spaced(step: Spacingd) -> Known:
    """`Spacingd` on pending volumes."""

    def act(pending: Mapping[Hashable, Pending], data: Item) -> Mapping[Hashable, Pending] | None:
        if not all(one.finite for one in pending.values()):
            return None
        equal, spacing = copy(step), copy(step.spacing_transform)
        reading = Reading(step.spacing_transform.sp_resample, pending.values())
        spacing.sp_resample, equal.spacing_transform = reading, spacing
        try:
            made = equal(data | {key: one.image for key, one in pending.items()})
        except (_Unknown, np.linalg.LinAlgError):
            return None
        data |= {name: item for name, item in made.items() if name not in pending}
        moved = zip(pending, reading.moved, strict=True)
        return {key: replace(one, image=made[key]) for key, one in moved}

    return Known(act, moves=True)


def our_spacing(step: ResampleSpacingd) -> Known:
    """medvol's `ResampleSpacingd` on pending volumes."""

    def act(pending: Mapping[Hashable, Pending], _data: Item) -> Mapping[Hashable, Pending] | None:
        linear = all(step.modes[key] == "linear" for key in pending)
        if not linear or not all(one.finite for one in pending.values()):
            return None
        return {key: moved(key, one) for key, one in pending.items()}

    def moved(key: Hashable, pending: Pending) -> Pending:
        image = pending.image
        plan = step.planned(image, key)
        size = image.shape[1:]
        lines = [Along.of(matrix) for matrix in weights_of(plan.new_size, size, plan.steps)]
        made = step.traced(empty((len(image), *plan.new_size), image), plan, key, like=image)
        return pending.resampled(made, lines, range(len(lines)))

    return Known(act, moves=True)


def _as_they_are(size: Sequence[int]) -> tuple[list[Along], list[int]]:
    return [Along(n) for n in size], list(range(len(size)))
