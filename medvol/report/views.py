# SPDX-License-Identifier: Apache-2.0
"""How a volume is laid on a page: turned as radiologists look at it, which slices, which part."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from ..spatial import Affine, orientation, spacing_mm

Box = tuple[slice, slice, slice]
BODY_SHARE = 0.02  # of a plane that must be brighter than the threshold to count as body
BOX_MARGIN_MM = 6.0
BULK = (0.1, 0.9)  # of the amount, summed from the feet: between them lies its central 80 %
CENTRE_SHARE = 0.8  # of a range from which slices are taken when nothing else tells


class LpsView(NamedTuple):
    """How to look at an array so that indices grow to the patient's left, back and head.

    Args:
        order: array axis that runs right-left, front-back, feet-head.
        flips: whether that axis has to be read backwards.
        spacing_mm: along the three axes of the view.
        affine: (4, 4), voxels of the view to mm in RAS.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]
    affine: Affine

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array itself, (X, Y, Z) in the view's order, without a copy."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array.transpose(self.order)[steps]

    def along(self, per_axis: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Three arrays (N,), one per array axis, in the order and direction of the view."""
        taken = [per_axis[axis] for axis in self.order]
        return [a[::-1] if flip else a for a, flip in zip(taken, self.flips, strict=True)]


def lps_view(shape: Sequence[int], affine: Affine) -> LpsView:
    """The view of a grid along its nearest body axes; an oblique grid is not resampled.

    Raises:
        ValueError: the affine has no three independent axes.
    """
    orientation(affine)  # refuses what has none
    turn = ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))
    right_left, front_back, feet_head = (int(axis) for axis in turn[:, 0].argsort())
    order = (right_left, front_back, feet_head)
    across, back, up = (bool(turn[axis, 1] < 0) for axis in order)
    turned = affine @ inv_ornt_aff(turn, tuple(shape))
    return LpsView(order, (across, back, up), spacing_mm(turned), turned)


def oblique_degrees(affine: Affine) -> float:
    """Largest angle between an array axis and its nearest body axis; 0 for a straight grid."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(min(1.0, np.abs(directions).max(axis=0).min()))))


def choose_slices(areas: npt.NDArray[np.integer[Any]], number: int) -> list[int]:
    """Slices that show most of something and lie well apart.

    The fullest slice first, then again and again the fullest that keeps a distance from those
    taken. The distance starts at the range that holds the central 80 % of the amount divided by
    `number`, so that thin ends are not shown for their distance alone, and shrinks until enough
    are found.
    When fewer slices than `number` show anything, slices far from those taken join them; when none
    does, they are spread evenly over the middle.

    Args:
        areas: amount in each slice, (N,).
        number: how many slices are wanted.

    Returns:
        Ascending slice numbers, `number` of them or all N.

    Example:
        >>> choose_slices(np.array([0, 9, 8, 7, 0, 0, 3, 4, 0]), 2)
        [1, 7]
    """
    number = min(number, len(areas))
    filled = np.flatnonzero(areas)
    if not filled.size:
        return spread(len(areas), number)
    by_area = filled[np.argsort(-areas[filled].astype(np.int64), kind="stable")].tolist()
    low, high = np.searchsorted(np.cumsum(areas), np.array(BULK) * areas.sum())
    distance = max(1, int(high - low + 1) // number)
    chosen = _keep_apart(by_area, number, distance)
    while len(chosen) < min(number, len(by_area)):
        distance -= 1
        chosen = _keep_apart(by_area, number, distance)
    middle = spread(len(areas), max(number, int(CENTRE_SHARE * len(areas))))
    while len(chosen) < number:
        left = [k for k in middle if k not in chosen]
        chosen.append(max(left, key=lambda k: min(abs(k - c) for c in chosen)))
    return sorted(chosen)


def spread(length: int, number: int) -> list[int]:
    """`number` distinct slices, evenly over the central part of `length`, ascending.

    Example:
        >>> spread(100, 4)
        [20, 40, 60, 80]
    """
    reach = max(CENTRE_SHARE * length, number)
    start = (length - reach) / 2
    return sorted({int(start + reach * (i + 0.5) / number) for i in range(number)})


def bright_box(volume: npt.NDArray[Any], *, threshold: float, spacing: Sequence[float]) -> Box:
    """The box of what is brighter than `threshold`, some millimetres wider; all when nothing is.

    Every fourth voxel is looked at; a plane counts when `BODY_SHARE` of it is bright, so that
    single bright voxels and thin wires around the body do not.

    Args:
        volume: (X, Y, Z), in HU or other values.
        threshold: in the volume's values.
        spacing: of the three axes, in mm.
    """
    steps = [max(1, min(4, n // 8)) for n in volume.shape]
    bright = volume[tuple(slice(None, None, step) for step in steps)] > threshold
    box = []
    for axis, (n, step) in enumerate(zip(volume.shape, steps, strict=True)):
        others = tuple(a for a in range(3) if a != axis)
        full = np.flatnonzero(bright.mean(axis=others) >= BODY_SHARE)
        margin = round(BOX_MARGIN_MM / spacing[axis]) + step
        low, high = (int(full[0]) * step, int(full[-1]) * step) if full.size else (0, n - 1)
        box.append(slice(max(0, low - margin), min(n, high + margin + 1)))
    return box[0], box[1], box[2]


def _keep_apart(ordered: Sequence[int], number: int, distance: int) -> list[int]:
    chosen: list[int] = []
    for candidate in ordered:
        if len(chosen) < number and all(abs(candidate - c) >= distance for c in chosen):
            chosen.append(candidate)
    return chosen
