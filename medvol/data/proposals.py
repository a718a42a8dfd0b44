# SPDX-License-Identifier: Apache-2.0
"""Settings of a training that follow from its data: spacing, window, patch, batch, repeats.

The rules are those of nnU-Net (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, and its
`ExperimentPlanner`), but that the network is given, and that a CPU is not asked for more voxels a
step than the bundle's own recipe has. Each is a pure function of numbers.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ANISOTROPY = 3.0  # nnU-Net: from here an axis is coarse, in mm and, the other way, in voxels
COARSE_PERCENTILE = 10  # nnU-Net: of the spacings of a coarse axis
CUT_PERCENTILES = (0.5, 99.5)  # nnU-Net: HU within the labels that a window keeps
WINDOW_STEP_HU = 10.0
BODY_HU = (-1000.0, 100.0)  # air to soft tissue, by which crop and postprocessing find the body
LARGEST_VOXELS = 256**3  # nnU-Net: of the patch that it begins with
SMALLEST_BATCH = 2  # nnU-Net
MOST_OF_DATA = 0.05  # nnU-Net: share of all voxels that a batch holds
STEPS = 100  # in an epoch; the shipped recipes have 72 to 99
CROP_MARGIN = 1.3  # of a crop that is turned and scaled before the patch is cut: 144 to 112
SIDE_STEP = 32  # pixels; classifiers halve a picture five times
CLASSES_STEPS = 8  # batches that an epoch has at least


class Proposal(NamedTuple):
    """A setting and why: the id in train.json, its value, and the reason in a sentence."""

    id: str
    value: Any
    reason: str


def target_spacing(
    spacings: npt.NDArray[np.float64], shapes: npt.NDArray[np.float64]
) -> tuple[tuple[float, ...], str]:
    """The spacing that a network works at, in mm along R, A and S, and the reason.

    Args:
        spacings: (n, 3) in mm.
        shapes: (n, 3) in voxels.

    Example:
        >>> thin, thick = [0.8, 0.8, 2.0], [0.8, 0.8, 5.0]
        >>> target_spacing(np.array([thin, thick, thick]), np.array([[400, 400, 60]] * 3))
        ((0.8, 0.8, 2.6), 'median; along S a tenth of the cases are finer, ...
    """
    median = np.median(spacings, 0)
    worst = int(median.argmax())
    others = [axis for axis in range(median.size) if axis != worst]
    sizes = np.median(shapes, 0)
    is_coarse = median[worst] > ANISOTROPY * median[others].max()
    has_few = sizes[worst] * ANISOTROPY < sizes[others].min()
    reason = "median of the cases"
    if is_coarse and has_few:
        finer = float(np.percentile(spacings[:, worst], COARSE_PERCENTILE))
        median[worst] = max(finer, float(median[others].max()))
        reason = f"median; along {'RAS'[worst]} a tenth of the cases are finer, as nnU-Net takes it"
        reason += " for thick slices"
    return tuple(round(float(mm), 2) for mm in median), reason


def fitting_spacing(
    spacing_mm: Sequence[float], sides_mm: npt.NDArray[np.float64], *, most_voxels: float
) -> tuple[float, ...]:
    """A spacing, coarsened until all images together have no more voxels than that.

    The finest axes first, as nnU-Net makes its low resolution.

    Args:
        spacing_mm: along R, A and S.
        sides_mm: (n, 3) of the images.
        most_voxels: that memory holds.

    Example:
        >>> fitting_spacing((1.0, 1.0, 4.0), np.array([[100.0, 100.0, 100.0]]), most_voxels=1e5)
        (1.6, 1.6, 4.0)
    """
    volume = float(np.prod(sides_mm, axis=1).sum())
    spacing = np.array(spacing_mm, np.float64)
    while volume / spacing.prod() > most_voxels:
        fine = spacing < spacing.max() / 2
        spacing[fine if fine.any() else slice(None)] *= 1.03
    return tuple(round(float(mm), 2) for mm in spacing)


def window_hu(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """HU that a window keeps: of the values (n,) in the labels, to whole tens, and `BODY_HU`.

    Example:
        >>> window_hu(np.linspace(-500, 1500, 2001, dtype=np.float32))
        (-1000.0, 1490.0)
    """
    low, high = np.percentile(values, CUT_PERCENTILES)
    low, high = min(low, BODY_HU[0]), max(high, BODY_HU[1])
    step = WINDOW_STEP_HU
    return math.floor(low / step) * step, math.ceil(high / step) * step


def patch_size(
    shape: Sequence[float],
    spacing_mm: Sequence[float],
    *,
    multiple: Sequence[int],
    most_voxels: float,
) -> tuple[int, ...]:
    """The largest patch of the image's form that has no more voxels than that.

    nnU-Net's way: as long in mm along each axis, not beyond the median image; then the axis that
    covers most of it is cut by what the network pools, until the patch fits.

    Args:
        shape: of the median image at that spacing, in voxels.
        spacing_mm: along the same axes, 2 or 3.
        multiple: voxels that the network pools to one, along each axis.
        most_voxels: of a patch.

    Example:
        >>> patch_size((240, 200, 60), (1.6, 1.6, 5), multiple=(16, 16, 4), most_voxels=150_000)
        (80, 64, 24)
    """
    spacing, size = np.asarray(spacing_mm, float), np.asarray(shape, float)
    steps = np.asarray(multiple)
    edge_mm = (LARGEST_VOXELS ** (spacing.size / 3) * spacing.prod()) ** (1 / spacing.size)
    start = np.minimum(edge_mm / spacing, size)
    patch = np.maximum(np.ceil(start / steps).astype(int), 1) * steps
    while patch.prod() > most_voxels and (patch > steps).any():
        covered = np.where(patch > steps, patch / size, 0)
        axis = int(covered.argmax())
        patch[axis] -= steps[axis]
    return tuple(int(n) for n in patch)


def batch_size(
    patch: Sequence[int], *, most_voxels: float, data_voxels: float, most: int
) -> tuple[int, str]:
    """Patches at once, and the reason.

    Args:
        patch: in voxels or pixels.
        most_voxels: of a batch, by memory.
        data_voxels: of all images at the network's spacing.
        most: patches that are worth it: those of the bundle.

    Example:
        >>> batch_size((64, 64, 32), most_voxels=1e6, data_voxels=1e9, most=16)
        (7, 'as many as the memory takes')
    """
    voxels = math.prod(patch)
    by_memory, by_data = int(most_voxels / voxels), int(MOST_OF_DATA * data_voxels / voxels)
    batch = min(by_memory, by_data, most)
    if batch < SMALLEST_BATCH:
        return SMALLEST_BATCH, "the least, so that gradients are of more than one patch"
    if batch == most:
        return batch, "as in the bundle"
    return batch, (
        "as many as the memory takes" if batch == by_memory else f"{MOST_OF_DATA:.0%} of all voxels"
    )


def repeats(cases: int, batch: int) -> int:
    """How often a case comes in an epoch of about `STEPS` batches.

    Example:
        >>> repeats(8, 2), repeats(1000, 2)
        (25, 1)
    """
    return max(1, round(STEPS * batch / max(cases, 1)))


def crop_size(patch: Sequence[int]) -> tuple[int, ...]:
    """What is cut out before it is turned and scaled, so that the patch has no empty corners.

    Example:
        >>> crop_size((112, 112, 12))
        (146, 146, 16)
    """
    return tuple(math.ceil(CROP_MARGIN * n) for n in patch)


def picture_side(shapes: npt.NDArray[np.float64], *, most: int) -> int:
    """Side of a square in pixels, of which the median picture has enough.

    Args:
        shapes: (n, 2) of the pictures.
        most: pixels that are worth their time.

    Example:
        >>> picture_side(np.array([[400, 300], [500, 350]]), most=224)
        224
    """
    side = float(np.median(shapes.min(1)))
    return int(max(SIDE_STEP, min(side, most) // SIDE_STEP * SIDE_STEP))


def picture_batch(pictures: int, *, by_memory: int, own: int) -> tuple[int, str]:
    """Pictures at once, and the reason.

    Args:
        pictures: to train on.
        by_memory: as many fit.
        own: of the bundle.

    Example:
        >>> picture_batch(100, by_memory=500, own=32)
        (12, 'so that an epoch has 8 steps')
    """
    by_data = pictures // CLASSES_STEPS
    batch = max(SMALLEST_BATCH, min(own, by_memory, by_data))
    if batch == own:
        return batch, "as in the bundle"
    return batch, f"so that an epoch has {CLASSES_STEPS} steps" if batch == by_data else (
        "as many as the memory takes" if batch == by_memory else "the least"
    )
