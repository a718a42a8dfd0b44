# SPDX-License-Identifier: Apache-2.0
"""Resampling to a voxel spacing, one axis at a time, with its exact inverse grid.

Along each axis the resampled volume is a matrix times the volume, so three small matrix products
do the whole work (separable linear interpolation). Both grids share their centre, so that a
flipped volume gives the flipped result. When voxels get larger, the interpolation kernel (a
triangle) is widened to the new spacing: thin, noisy slices are averaged into thick ones instead of
one in five being picked.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.transform import MapTransform
from monai.utils.enums import TraceKeys
from torch import Tensor

from .. import spatial
from ..errors import InputError
from .keys import placed, plain
from .separable import Along, read_along

MODES = ("linear", "nearest", "labels")
VOLUME_NDIM = 4  # (C, X, Y, Z)


def resampled_size(size: int, spacing_mm: float, new_spacing_mm: float) -> int:
    """Voxels along an axis after resampling: the same extent in mm, rounded, at least 1.

    Args:
        size: voxels along the axis before.
        spacing_mm: distance of neighbouring voxels before.
        new_spacing_mm: distance of neighbouring voxels afterwards.

    Example:
        >>> resampled_size(10, 5.0, 2.0), resampled_size(1, 1.0, 9.0)
        (25, 1)
    """
    return max(1, round(size * spacing_mm / new_spacing_mm))


def source_positions(new_size: int, size: int, step: float) -> Tensor:
    """Where new voxels lie on the old axis, in old voxels: both axes share their centre.

    Args:
        new_size: voxels of the new axis.
        size: voxels of the old axis.
        step: new spacing over old spacing, a factor.

    Returns:
        (new_size,) float64.

    Example:
        >>> source_positions(2, 4, 2.0).tolist()
        [0.5, 2.5]
    """
    centred = torch.arange(new_size, dtype=torch.float64) - (new_size - 1) / 2
    return centred * step + (size - 1) / 2


def interpolation_matrix(positions: Tensor, size: int, width: float = 1.0) -> Tensor:
    """Weights that read a (size,) axis at `positions`, beyond the ends repeating the last voxel.

    Args:
        positions: (n,) in voxels of the axis.
        size: voxels of the axis.
        width: half width of the triangle in voxels; 1 is linear interpolation, more averages.

    Returns:
        (n, size) float32, rows sum to 1.

    Example:
        >>> interpolation_matrix(torch.tensor([0.25, 9.0]), 3).tolist()
        [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
    """
    clamped = positions.to(torch.float64).clamp(0, size - 1)
    distance = (clamped[:, None] - torch.arange(size, dtype=torch.float64)[None]).abs()
    weights = (1 - distance / max(width, 1.0)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).float()


def resample_linear(volume: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply one (n_out, n_in) matrix per spatial axis to a (C, *spatial) tensor, as float32."""
    return read_along(plain(volume), [Along(matrix.shape[1], matrix) for matrix in matrices])


def resample_nearest(volume: Tensor, positions: Sequence[Tensor]) -> Tensor:
    """Pick the voxel nearest to each position along each axis; type and values stay.

    Args:
        volume: (C, *spatial).
        positions: per spatial axis (n,), in voxels of `volume`.

    Returns:
        (C, *n).
    """
    out = plain(volume)
    for axis, position in enumerate(positions):
        index = (position + 0.5).floor().long().clamp(0, out.shape[axis + 1] - 1)
        out = out.index_select(axis + 1, index.to(out.device))
    return out


def resample_labels(volume: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Resample integer labels: each label's indicator linearly, then the label with most share.

    Smoother than nearest where two or more axes get finer; along one axis alone, with two labels,
    it is nearest. Where shares are equal the smaller label wins.

    Args:
        volume: (C, *spatial), whole numbers.
        matrices: per spatial axis (n_out, n_in).

    Returns:
        (C, *n_out), of the type of `volume`.
    """
    values = torch.unique(plain(volume))
    best: Tensor | None = None
    label = torch.empty(0)
    for value in values:
        share = resample_linear(volume == value, matrices)
        if best is None:
            best, label = share, torch.full_like(share, float(value))
        else:
            better = share > best
            best = torch.where(better, share, best)
            label = torch.where(better, value.float(), label)
    return label.to(volume.dtype)


def resample(volume: Tensor, new_size: Sequence[int], steps: Sequence[float], mode: str) -> Tensor:
    """Bring a volume to another grid with the same centre.

    Args:
        volume: (C, X, Y, Z).
        new_size: voxels along each axis of the new grid.
        steps: new spacing over old spacing along each axis, a factor.
        mode: "linear", "labels" or "nearest".

    Returns:
        (C, *new_size).
    """
    size = volume.shape[1:]
    if mode == "nearest":
        positions = [source_positions(*x) for x in zip(new_size, size, steps, strict=True)]
        return resample_nearest(volume, positions)
    matrices = weights_of(new_size, size, steps)
    return (resample_labels if mode == "labels" else resample_linear)(volume, matrices)


def weights_of(
    new_size: Sequence[int], size: Sequence[int], steps: Sequence[float]
) -> list[Tensor]:
    """Per axis the weights of "linear" and "labels", (n_out, n_in); averages where voxels grow.

    Args:
        new_size, size: voxels of both grids.
        steps: new spacing over old spacing along each axis, a factor.
    """
    every = zip(new_size, size, steps, strict=True)
    return [
        interpolation_matrix(source_positions(*x), x[1], max(x[2], 1.0)) for x in every
    ]  # fmt: skip


class Planned(NamedTuple):
    """A new grid for a volume, before its voxels are read.

    Args:
        new_size: voxels along each axis of the new grid.
        steps: new spacing over old spacing along each axis, a factor.
        affine: of the new grid.
    """

    new_size: list[int]
    steps: list[float]
    affine: spatial.Affine


class ResampleSpacingd(MapTransform, InvertibleTransform):
    """Resample volumes to a spacing along their own axes; `inverse` returns to the old grid.

    Args:
        keys: items of shape (C, X, Y, Z), MetaTensors with an affine.
        spacing_mm: new spacing per array axis, in mm; None leaves an axis as it is.
        mode: per key "linear" (intensities, probabilities), "labels" (label maps, by share) or
            "nearest".

    Raises:
        ValueError: a spacing that is not three positive numbers, an unknown mode.
        InputError: when called, E_DIMS, an item of another number of axes, as a program that loads
            images itself may give it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing_mm: Sequence[float | None],
        mode: str | Sequence[str] = "linear",
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        if len(spacing_mm) != 3 or min(s for s in (*spacing_mm, 1.0) if s is not None) <= 0:
            raise ValueError(
                f"spacing_mm is {spacing_mm}; give three positive numbers, one an axis"
            )
        modes = [mode] * len(self.keys) if isinstance(mode, str) else list(mode)
        if len(modes) != len(self.keys) or not set(modes) <= set(MODES):
            raise ValueError(f"mode is {mode}; give one of {MODES}, or one for each of {self.keys}")
        self.spacing_mm = tuple(None if s is None else float(s) for s in spacing_mm)
        self.modes = dict(zip(self.keys, modes, strict=True))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            volume: MetaTensor = result[key]
            plan = self.planned(volume, key)
            out = resample(volume, plan.new_size, plan.steps, self.modes[key])
            result[key] = self.traced(out, plan, key, like=volume)
        return result

    def planned(self, volume: MetaTensor, key: Hashable) -> Planned:
        """The grid that a volume gets.

        Raises:
            InputError: E_DIMS, it has another number of axes than (C, X, Y, Z).
        """
        if volume.ndim != VOLUME_NDIM:
            reason = f"its shape is {tuple(volume.shape)}; the chain needs (C, X, Y, Z)."
            remedy = "Give all channels as one image, channels first."
            raise InputError("E_DIMS", str(key), reason, remedy)
        affine = volume.affine.cpu().numpy().astype(np.float64)
        old, size = spatial.spacing_mm(affine), volume.shape[1:]
        wanted = [new or o for new, o in zip(self.spacing_mm, old, strict=True)]
        steps = [new / o for new, o in zip(wanted, old, strict=True)]
        new_size = [resampled_size(*x) for x in zip(size, old, wanted, strict=True)]
        return Planned(new_size, steps, affine @ _grid_step(new_size, size, steps))

    def traced(
        self, values: Tensor, plan: Planned, key: Hashable, *, like: MetaTensor
    ) -> MetaTensor:
        """A resampled volume with its place, and a trace by which `inverse` finds back.

        Args:
            values: (C, *plan.new_size).
            plan: of its grid.
            key: its name.
            like: the volume before, (C, X, Y, Z).
        """
        moved = _moved(values, plan.affine, like=like)
        affine = like.affine.cpu().numpy().astype(np.float64)
        self.push_transform(
            moved,
            orig_size=tuple(like.shape[1:]),
            extra_info={"mode": self.modes[key], "steps": plan.steps, "affine": affine.tolist()},
        )
        return moved

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the grid before, (C, X, Y, Z) of each item."""
        result = dict(data)
        for key in self.key_iterator(result):
            volume: MetaTensor = result[key]
            record = self.pop_transform(volume)
            info = record[TraceKeys.EXTRA_INFO]
            steps = [1 / step for step in info["steps"]]
            out = resample(volume, record[TraceKeys.ORIG_SIZE], steps, info["mode"])
            result[key] = _moved(out, np.array(info["affine"]), like=volume)
        return result


def _grid_step(
    new_size: Sequence[int], size: Sequence[int], steps: Sequence[float]
) -> spatial.Affine:
    """From new voxels to old ones, both grids sharing their centre."""
    step = np.diag([*steps, 1.0])
    step[:3, 3] = [float(source_positions(*x)[0]) for x in zip(new_size, size, steps, strict=True)]
    return step


def _moved(values: Tensor, affine: spatial.Affine, *, like: MetaTensor) -> MetaTensor:
    moved: MetaTensor = placed(values, like)
    moved.affine = torch.as_tensor(affine)
    return moved
