# SPDX-License-Identifier: Apache-2.0
"""What undoing a chain does to a volume, read from the trace of what was applied, not done."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import AFFINE_TOL, affine_to_spacing
from monai.networks.layers import AffineTransform
from monai.transforms import (
    BorderPadd,
    CenterSpatialCropd,
    Compose,
    Cropd,
    CropForegroundd,
    DivisiblePadd,
    Flipd,
    Orientation,
    Orientationd,
    Padd,
    Spacingd,
    SpatialCropd,
    SpatialPadd,
    SpatialResampled,
)
from monai.transforms.inverse import InvertibleTransform
from monai.utils import TraceKeys
from monai.utils.type_conversion import get_torch_dtype_from_string
from nibabel.orientations import aff2axcodes, axcodes2ornt, io_orientation, ornt_transform
from torch import Tensor

from .axis_maps import AxisMaps, Matrix
from .resample import ResampleSpacingd, interpolation_matrix, source_positions

Record = Mapping[str, Any]
SPACE_LPS = (("R", "L"), ("A", "P"), ("I", "S"))
STILL = 1e-6  # voxels that a grid may be tilted from end to end and still be along the axes


@dataclass(frozen=True)
class Undone:
    """Where the voxels of a network's grid go when its chain is undone.

    Args:
        maps: of the grid before the chain.
        left: applied operations that the chain does not undo.
        spacing: that the metadata then name as `pixdim`; None where they keep their own.
    """

    maps: AxisMaps
    left: list[Any]
    spacing: Any = None

    def meta(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata after undoing.

        Args:
            before: of the network's grid.
        """
        meta = deepcopy(dict(before))
        meta["affine"] = torch.as_tensor(self.maps.affine)
        if self.spacing is not None and "pixdim" in meta:
            meta["pixdim"][1 : 1 + len(self.spacing)] = self.spacing
        return meta

    def placed(self, labels: Tensor, image: MetaTensor) -> MetaTensor:
        """Labels with the metadata and the trace that they then have.

        Args:
            labels: (C, *shape of the maps).
            image: on the network's grid, (C, X, Y, Z).
        """
        made = MetaTensor(labels, meta=self.meta(image.meta))
        made.applied_operations = deepcopy(self.left)
        return made


def undone(
    transform: Any, key: Any, shape: Sequence[int], meta: Mapping[str, Any], trace: Sequence[Record]
) -> Undone | None:
    """What `transform.inverse` would do to a volume on the grid of the network.

    Args:
        transform: the chain that was applied.
        key: item of the chain.
        shape: (X, Y, Z) of the network's grid.
        meta: of the item behind the chain.
        trace: its applied operations; with other modes of interpolation where they are wanted.

    Returns:
        None where something was applied that this does not know, or that is not along the axes.
    """
    if len(shape) != 3 or getattr(transform, "_lazy", False):
        return None
    steps = transform.flatten().transforms if isinstance(transform, Compose) else [transform]
    found = Undone(AxisMaps.first(shape, _array(meta["affine"])), list(trace))
    for step in reversed([step for step in steps if isinstance(step, InvertibleTransform)]):
        keys = getattr(step, "keys", None)
        if keys is None:  # as of one that holds others, which `OneOf` does
            return None
        if key not in keys:
            continue
        inner = INNER.get(type(step), _unknown)(step)
        record = found.left[-1] if found.left else {}
        if record.get(TraceKeys.ID) != id(inner) or record.get(TraceKeys.LAZY):
            return None
        read = READ.get(str(record[TraceKeys.CLASS_NAME]), _unknown)
        maps = read(found.maps, record, inner, meta)
        if maps is None:
            return None
        moved = maps is not found.maps and not isinstance(step, ResampleSpacingd)
        spacing = affine_to_spacing(maps.affine) if moved else found.spacing
        found = Undone(maps, found.left[:-1], spacing)
    return found


def _unknown(*_: Any) -> None:
    return None


INNER: dict[type, Callable[[Any], Any]] = {
    Spacingd: lambda step: step.spacing_transform.sp_resample,
    SpatialResampled: lambda step: step.sp_transform,
    Orientationd: lambda step: step.ornt_transform,
    Flipd: lambda step: step.flipper,
    ResampleSpacingd: lambda step: step,
    **dict.fromkeys(
        [Cropd, CropForegroundd, SpatialCropd, CenterSpatialCropd], lambda s: s.cropper
    ),
    **dict.fromkeys([Padd, SpatialPadd, BorderPadd, DivisiblePadd], lambda s: s.padder),
}


def _uncropped(maps: AxisMaps, record: Record, *_: Any) -> AxisMaps | None:
    info = record[TraceKeys.EXTRA_INFO]
    inner = _unpadded(maps, info["pad_info"]) if "pad_info" in info else maps
    if inner is None:
        return None
    cut = np.reshape(info["cropped"], (-1, 2))
    return inner.box((-cut[:, 0]).tolist(), (np.array(inner.shape) + cut.sum(axis=1)).tolist())


def _unpadded(maps: AxisMaps, record: Record, *_: Any) -> AxisMaps | None:
    channels, *added = record[TraceKeys.EXTRA_INFO]["padded"]
    if any(channels):
        return None
    added += [(0, 0)] * (len(maps.shape) - len(added))
    shape = [n - low - high for n, (low, high) in zip(maps.shape, added, strict=True)]
    return maps.box([int(low) for low, _ in added], shape)


def _unturned(maps: AxisMaps, record: Record, inner: Orientation, meta: Any) -> AxisMaps:
    labels = inner.labels
    if labels is None and str(getattr(meta.get("space"), "value", meta.get("space"))) == "LPS":
        labels = SPACE_LPS
    before = _array(record[TraceKeys.EXTRA_INFO]["original_affine"])
    codes = aff2axcodes(before, labels=labels)
    wanted = axcodes2ornt(codes, labels=labels)
    return maps.turned(ornt_transform(io_orientation(maps.affine), wanted))


def _unflipped(maps: AxisMaps, record: Record, *_: Any) -> AxisMaps:
    axes = record[TraceKeys.EXTRA_INFO]["axes"]
    every = range(len(maps.shape))
    chosen = every if axes is None else np.atleast_1d(axes)
    flipped = {every[int(axis)] for axis in chosen}
    return maps.turned(np.array([(axis, -1 if axis in flipped else 1) for axis in every], float))


def _respaced(maps: AxisMaps, record: Record, *_: Any) -> AxisMaps | None:
    info, size = record[TraceKeys.EXTRA_INFO], record[TraceKeys.ORIG_SIZE]
    steps = [1 / step for step in info["steps"]]
    along = list(zip(size, maps.shape, steps, strict=True))
    places = [source_positions(*line) for line in along]
    if info["mode"] == "linear":
        lines = zip(places, along, strict=True)
        made = [interpolation_matrix(p, n, max(step, 1.0)) for p, (_, n, step) in lines]
    elif info["mode"] == "nearest":
        made = [_nearest(p, n) for p, (_, n, _) in zip(places, along, strict=True)]
    else:
        return None
    return maps.resampled([_array(m) for m in made], np.array(info["affine"]))


def _nearest(places: Tensor, size: int) -> Tensor:
    """(n, size), in each row 1 at the voxel that `resample_nearest` picks."""
    return torch.eye(size)[(places + 0.5).floor().long().clamp(0, size - 1)]


def _resampled(maps: AxisMaps, record: Record, *_: Any) -> AxisMaps | None:
    info, size = record[TraceKeys.EXTRA_INFO], tuple(int(n) for n in record[TraceKeys.ORIG_SIZE])
    wanted = _array(info["src_affine"])
    if wanted.shape != (4, 4) or len(size) != 3 or not isinstance(info["mode"], str):
        return None
    step = np.linalg.solve(maps.affine, wanted)
    close = (np.allclose(a, b, atol=AFFINE_TOL) for a, b in
             [(maps.affine, wanted), (step, np.eye(4))])  # fmt: skip
    if size == maps.shape and any(close):
        return maps  # as MONAI leaves it
    tilt = np.abs(step[:3, :3] - np.diag(np.diag(step))[:3, :3]) @ np.array(size)
    if tilt.max() > STILL:
        return None
    lines = [
        _line(n, new, (step[axis, axis], step[axis, 3]), info)
        for axis, (n, new) in enumerate(zip(maps.shape, size, strict=True))
    ]
    return maps.resampled(lines, maps.affine @ step)


def _line(size: int, new_size: int, place: tuple[float, float], info: Record) -> Matrix:
    """(new_size, size), the weights with which MONAI resamples along one axis: it is asked.

    Args:
        size, new_size: voxels before and after.
        place: (step, start) of the new voxels in old ones.
        info: as `SpatialResample` keeps it: mode, padding_mode, align_corners, dtype.
    """
    corners = info["align_corners"]
    sample = AffineTransform(
        normalized=False, mode=info["mode"], padding_mode=info["padding_mode"],
        align_corners=False if corners == TraceKeys.NONE else bool(corners), reverse_indexing=True,
    )  # fmt: skip
    dtype = get_torch_dtype_from_string(info["dtype"])
    theta = torch.eye(4, dtype=dtype)
    theta[0, 0], theta[0, 3] = place
    each = torch.eye(size, dtype=dtype)[None, :, :, None, None].expand(-1, -1, -1, 2, 2)
    return _array(sample(each, theta, (new_size, 2, 2))[0, :, :, 0, 0].T)


def _array(values: Any) -> Matrix:
    return np.asarray(values.cpu() if isinstance(values, Tensor) else values, np.float64)


READ: dict[str, Callable[..., AxisMaps | None]] = {
    "SpatialResample": _resampled,
    "Orientation": _unturned,
    "Flip": _unflipped,
    "ResampleSpacingd": _respaced,
    **dict.fromkeys(["Crop", "CropForeground", "SpatialCrop", "CenterSpatialCrop"], _uncropped),
    **dict.fromkeys(["Pad", "SpatialPad", "BorderPad", "DivisiblePad"], _unpadded),
}
