# SPDX-License-Identifier: Apache-2.0
"""What every volume must satisfy whatever its format: its shape, its values, its place."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from ..spatial import Affine, same_grid, shear_cosine, spacing_mm
from .image import Image, Kind

# Of the voxels as they are stored, and as float32, which the network takes: 4,096 slices of
# 512 x 512; of float64 half as many.
MAX_BYTES = 4 << 30
MAX_NAN_SHARE = 0.01
MAX_LABEL = 65535  # of a mask, see labels.Label
SHEAR_COSINE = 1e-4  # ITK and 3D Slicer accept no more
THICK_SLICE_MM = 10.0
SINGULAR = 1e-6  # determinant of the axes as unit vectors; 1 for a rectangular grid
MIN_VOXEL_MM = 0.005  # micro-CT has 0.01; finer is microscopy, or metres taken for mm
MAX_SIDE_MM = 5000.0  # no table moves a body that far
USUAL_SIDES_MM = (50.0, 2500.0)  # second longest and longest: an inner ear, a tall body
MIN_BODY_MM = 38.0  # of the second longest side; the smallest field of dental CT is 40
FAR_MM, MAX_FAR_MM = 1e4, 1e6  # of the origin; at 1e6 float32 counts in steps of 0.06 mm
MM_PER_UNIT = {"m": 1000.0, "mm": 1.0, "um": 0.001}


def volume_shape(sizes: Sequence[int], path: Path) -> tuple[tuple[int, int, int], list[Note]]:
    """The three spatial axes of an image, checked before anything of that size is made.

    Args:
        sizes: voxels along each axis as the header claims; further axes must hold one frame.
        path: for the message.

    Raises:
        InputError: E_DIMS, no volume of at least two slices in one frame.
    """
    text = " x ".join(map(str, sizes))
    if any(n < 1 for n in sizes):
        raise InputError("E_DIMS", path, f"an axis has no voxels ({text}).", "Export it again.")
    frames = math.prod(sizes[3:])
    if frames > 1:
        reason = f"it holds {frames} frames or channels ({text}), not one volume."
        raise InputError("E_DIMS", path, reason, "Save the one volume that is meant as 3D.")
    if len(sizes) < 3 or min(sizes[:3]) == 1:
        reason = f"it is one slice ({text}), not a volume."
        raise InputError("E_DIMS", path, reason, "Give the whole volume of two or more slices.")
    notes = [Note("N_SQUEEZED", f"{len(sizes)}D with one frame ({text}), used as 3D.")]
    return (sizes[0], sizes[1], sizes[2]), notes if len(sizes) > 3 else []


def check_bytes(shape: Sequence[int], dtype: npt.DTypeLike, path: Path) -> None:
    """Refuse a volume that would take more than `MAX_BYTES`, before anything of its size is made.

    Args:
        shape: (X, Y, Z) as the header claims.
        dtype: of the stored values.
        path: for the message.

    Raises:
        InputError: E_TOO_BIG.
    """
    each = max(np.dtype(dtype).itemsize, np.dtype(np.float32).itemsize)
    if (taken := math.prod(shape) * each) > MAX_BYTES:
        reason = (
            f"its header claims {' x '.join(map(str, shape))} voxels, which take "
            f"{taken / (1 << 30):.4g} GiB as {each}-byte numbers; the limit is {MAX_BYTES >> 30}."
        )
        raise InputError("E_TOO_BIG", path, reason, "Crop it or reduce its resolution.")


def rescaled(
    stored: npt.NDArray[Any], slope: float, intercept: float, path: Path
) -> npt.NDArray[Any]:
    """Stored values times slope plus intercept, in the machine's byte order.

    Args:
        stored: (X, Y, Z), any integer or float type.
        slope, intercept: a factor and a number added, in the unit of the result (HU for CT).
        path: for the message.

    Returns:
        (X, Y, Z), strides like `stored`: its own type when that is an integer of up to 16 bits
        and nothing is to be scaled, else float32 (computed slice by slice in float64).

    Raises:
        InputError: E_VALUES, slope or intercept is not a finite number.
    """
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        reason = f"its scaling is not a number (slope {slope}, intercept {intercept})."
        raise InputError("E_VALUES", path, reason, "Export it again with its true values.")
    plain = slope == 1 and intercept == 0
    if plain and stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        return stored.astype(stored.dtype.newbyteorder("="), order="K", copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # found by `checked_values`
        if plain:
            return stored.astype(np.float32, order="K", copy=False)
        scaled = np.empty_like(stored, dtype=np.float32)
        for k in range(stored.shape[2]):
            scaled[:, :, k] = stored[:, :, k] * np.float64(slope) + intercept
    return scaled


def checked_values(
    array: npt.NDArray[Any], path: Path, kind: Kind
) -> tuple[npt.NDArray[Any], list[Note]]:
    """Refuse values that are not an image, or not a mask; fill the few NaN of an image.

    Args:
        array: (X, Y, Z); changed in place when NaN are filled.
        path: for the message.
        kind: "mask" allows one value everywhere (nothing found), but whole numbers only.

    Returns:
        The image (X, Y, Z), or the mask as uint8 or uint16, and remarks.

    Raises:
        InputError: E_VALUES, infinite, constant, all or more than 1 % NaN, or no labels.
    """
    notes: list[Note] = []
    low, high = float(array.min()), float(array.max())
    if kind != "mask" and math.isnan(low):
        notes.append(_fill_nan(array, path))
        low, high = float(array.min()), float(array.max())
    if kind == "mask":
        return _as_labels(array, low, high, path), notes
    if not (math.isfinite(low) and math.isfinite(high)):
        reason = "it holds infinite values, or its scaling makes values above 3.4e38."
        raise InputError("E_VALUES", path, reason, "Export it again with its true values.")
    if low == high:
        reason = f"every voxel has the value {low:g}."
        raise InputError("E_VALUES", path, reason, "Check that the export was complete.")
    return array, notes


def _fill_nan(array: npt.NDArray[Any], path: Path) -> Note:
    """Put the lowest finite value in place of NaN: outside the scan nothing is darker."""
    missing = np.isnan(array)
    count = int(missing.sum())
    share = count / array.size
    if share > MAX_NAN_SHARE:
        reason = f"{100 * share:.3g} % of its voxels are NaN; at most 1 % can be filled."
        raise InputError("E_VALUES", path, reason, "Fill them with the value of air and try again.")
    lowest = float(np.fmin.reduce(array, axis=None))
    array[missing] = lowest
    return Note("N_NAN_FILLED", f"{count} NaN voxels were given the lowest value, {lowest:g}.")


def _as_labels(array: npt.NDArray[Any], low: float, high: float, path: Path) -> npt.NDArray[Any]:
    in_range = low >= 0 and high <= MAX_LABEL  # False for NaN
    if in_range and array.dtype.kind == "f":
        in_range = all(
            bool((array[:, :, k] == np.rint(array[:, :, k])).all()) for k in range(array.shape[2])
        )
    if not in_range:
        reason = f"a mask holds whole numbers from 0 to {MAX_LABEL}; this holds {low:g} to {high:g}"
        reason += " and fractions." if low >= 0 and high <= MAX_LABEL else "."
        raise InputError("E_VALUES", path, reason, "Give the label map, not the image or a score.")
    return array.astype(np.uint8 if high <= 255 else np.uint16, order="K", copy=False)


def checked_place(shape: Sequence[int], affine: Affine, path: Path) -> list[Note]:
    """Refuse a place or size that no volume has; remark on what is unusual.

    Args:
        shape: (X, Y, Z).
        affine: (4, 4), voxel index to RAS mm.
        path: for the message.

    Raises:
        InputError: E_GEOMETRY, the affine is not finite, its axes do not span space, or voxels,
            sides or the distance to the origin are beyond what a body can have.
    """
    directions = affine[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(directions, axis=0)
    if not (np.isfinite(affine).all() and np.isfinite(norms).all() and norms.all()):
        _refuse_affine(path, "its affine has a zero axis or values that are not numbers.")
    if abs(np.linalg.det(directions / norms)) < SINGULAR:
        _refuse_affine(path, "its affine is singular: two axes point the same way.")
    notes = _unusual_size(shape, affine, path)
    if shear_cosine(affine) > SHEAR_COSINE:
        text = "the grid is sheared (tilted gantry); results come back on this very grid."
        notes.append(Note("N_SHEAR_RESAMPLED", text))
    thickness = max(spacing_mm(affine))
    if thickness > THICK_SLICE_MM - 1e-3:
        text = f"slices are {thickness:.4g} mm apart; small findings fall between them."
        notes.append(Note("N_ANISO", text))
    return notes


def _unusual_size(shape: Sequence[int], affine: Affine, path: Path) -> list[Note]:
    spacing, sides = spacing_mm(affine), _sides_mm(shape, affine)
    far = float(np.abs(affine[:3, 3]).max())
    size = f"it is {_times(sides)} mm in size, its voxels {_times(spacing)} mm"
    if min(spacing) < MIN_VOXEL_MM or max(sides) > MAX_SIDE_MM:
        _refuse_affine(path, f"{size}, which no part of a body is.")
    if far > MAX_FAR_MM:
        _refuse_affine(path, f"its first voxel lies {far:.3g} mm from the origin.")
    _, middle, longest = sorted(sides)
    if middle < USUAL_SIDES_MM[0] or longest > USUAL_SIDES_MM[1]:
        return [Note("N_SIZE", f"{size}; if its spacing is wrong, so is every ml.")]
    if far > FAR_MM:
        return [Note("N_SIZE", f"its first voxel lies {far:.3g} mm from the origin.")]
    return []


def check_body_size(shape: Sequence[int], affine: Affine, path: Path) -> None:
    """Refuse a volume that is too small to show a part of a human body.

    Args:
        shape: (X, Y, Z).
        affine: (4, 4), voxel index to RAS mm.
        path: for the message.

    Raises:
        InputError: E_GEOMETRY, its second longest side is shorter than `MIN_BODY_MM`.
    """
    sides = _sides_mm(shape, affine)
    if sorted(sides)[1] < MIN_BODY_MM:
        reason = f"it is {_times(sides)} mm in size, too small for a part of a human body."
        remedy = "Check its spacing with medvol inspect, and export it again in mm."
        raise InputError("E_GEOMETRY", path, reason, remedy)


def _sides_mm(shape: Sequence[int], affine: Affine) -> list[float]:
    return [n * step for n, step in zip(shape, spacing_mm(affine), strict=True)]


def _times(lengths: Sequence[float]) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths)


def _refuse_affine(path: Path, reason: str) -> None:
    remedy = "Convert it again from the original DICOM files."
    raise InputError("E_GEOMETRY", path, reason, remedy)


def scaled_to_mm(affine: Affine, unit: str) -> tuple[Affine, list[Note]]:
    """The affine in mm, with a remark when the file counts in metres ("m") or microns ("um")."""
    if unit == "mm":
        return affine, []
    scaled = affine.copy()
    scaled[:3] *= MM_PER_UNIT[unit]
    name = {"m": "metres", "um": "microns"}[unit]
    return scaled, [Note("N_UNITS", f"lengths in {name} were scaled to mm.")]


def check_grid(image: Image, mask: Image) -> None:
    """Refuse a mask that does not lie on the grid of its image.

    Raises:
        InputError: E_GEOMETRY, the grids differ.
    """
    if not same_grid(image.array.shape, image.affine, mask.array.shape, mask.affine):
        raise InputError(
            "E_GEOMETRY", mask.path,
            f"the mask of shape {mask.array.shape} does not lie on the grid of "
            f"{image.path.name}, shape {image.array.shape}.",
            "Resample the mask to the image's grid (nearest neighbour), or correct its affine.",
        )  # fmt: skip


def check_pair(image: Image, mask: Image, *, values: Collection[int]) -> None:
    """Refuse a mask that does not belong to its image.

    Raises:
        InputError: E_GEOMETRY, the grids differ; E_VALUES, the mask has a value not in `values`.
    """
    check_grid(image, mask)
    check_labels(mask, values)


def check_labels(mask: Image, values: Collection[int]) -> None:
    """Refuse a mask with a value that no label is called.

    Raises:
        InputError: E_VALUES, names the values.
    """
    if odd := sorted(set(np.unique(mask.array).tolist()) - set(values)):
        raise odd_values(mask.path, odd, values)


def odd_values(path: Path, odd: Sequence[int], values: Collection[int]) -> InputError:
    """E_VALUES of a mask that holds what no label is called.

    Args:
        path: of the mask.
        odd: values in it that are not known.
        values: that are.
    """
    return InputError(
        "E_VALUES", path,
        f"the mask holds {', '.join(map(str, odd[:5]))}; "
        f"known values are {', '.join(map(str, values))}.",
        "Check that it is the mask that its name says; `labels` of a datalist name each value.",
    )  # fmt: skip
