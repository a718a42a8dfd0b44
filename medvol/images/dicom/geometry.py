# SPDX-License-Identifier: Apache-2.0
"""Whether DICOM slices form one regular volume, and its affine.

Stricter than the usual readers, which stretch the spacing over a missing slice and straighten a
tilted gantry. Every slice must lie within 0.1 mm of a regular grid, in its height along the normal
and sideways; positions rounded to a tenth of a millimetre pass, a missing slice never does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, degrees
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...spatial import RAS_TO_LPS, Affine
from ...text import counted

Vector = npt.NDArray[np.float64]
POSITION_TOLERANCE_MM = 0.1  # two positions, each rounded to 0.1 mm
STEP_TOLERANCE = 0.2  # of a slice step; the smaller of both holds, so that micro-CT is judged too
ORIENTATION_TOLERANCE = 1e-3  # of a direction cosine: 0.25 mm at the edge of a 500 mm image
SPACING_TOLERANCE = 1e-3  # relative; 0.25 mm at the edge of a 500 mm image
UNIT_TOLERANCE = 0.01  # of a cosine rounded to two digits
SHOWN_HOLES = 2  # in a message, which is one line
SAME_HEIGHT = 1e-3  # of the slice step, or of a millimetre where all heights are equal


@dataclass(frozen=True, eq=False)
class Place:
    """Where one slice lies, in DICOM's LPS millimetres.

    None stands for what its header does not say, NaN for what it says in other words than numbers.

    Args:
        path: its file.
        name: how to call it in a message, the file below the folder and the frame.
        position: (3,) centre of the first pixel.
        orientation: (6,) direction of growing column index, then of growing row index.
        spacing: (2,) distance between rows, then between columns.
    """

    path: Path
    name: str
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None


@dataclass(frozen=True, eq=False)
class Stack:
    """The way to a volume: slice order along the normal, affine (4, 4) RAS, tilt in degrees."""

    order: list[int]
    affine: Affine
    tilt_degrees: float


def stack_slices(folder: Path, places: Sequence[Place]) -> Stack:
    """Order slices along their normal and find the affine of the volume (column, row, slice).

    The slice axis points along the normal (row direction x column direction). It keeps the true
    direction from slice to slice, so that the affine of a tilted gantry is sheared; a tilt of less
    than `POSITION_TOLERANCE_MM` over the whole stack counts as none.

    Raises:
        InputError: E_GEOMETRY, position, orientation or spacing is missing or impossible;
            E_SERIES, with the cause: slices in several directions, several images at one place,
            slices missing (where), uneven gaps, slices shifted sideways.
        ValueError: there is only one slice.
    """
    positions, orientation, spacing = _complete(folder, places)
    along_row, along_column = _unit_axes(places[0].path, orientation)
    normal = np.cross(along_row, along_column)
    if len(places) == 1:
        raise ValueError("places has one slice; give two or more")
    order = np.argsort(positions @ normal, kind="stable")
    positions, names = positions[order], [places[k].name for k in order]
    step, tolerance = _check_heights(folder, positions @ normal, names)
    travel = (positions[-1] - positions[0]) / (len(positions) - 1)
    _check_sideways(folder, positions, names, tolerance=tolerance)
    drift = float(np.linalg.norm(travel - (travel @ normal) * normal))
    tilted = drift * (len(positions) - 1) > tolerance
    affine_lps = np.eye(4)
    affine_lps[:3, 0] = along_row * spacing[1]
    affine_lps[:3, 1] = along_column * spacing[0]
    affine_lps[:3, 2] = travel if tilted else normal * step
    affine_lps[:3, 3] = positions[0]
    angle = degrees(atan2(drift, step)) if tilted else 0.0
    return Stack([int(k) for k in order], RAS_TO_LPS @ affine_lps, angle)


def missing_slices(gaps_mm: Vector) -> tuple[float, list[tuple[int, int]]]:
    """The usual gap, and where slices are missing: (gap number, slices that would fill it).

    Args:
        gaps_mm: (n - 1,) distances between neighbours, all above 0.

    Returns:
        The lower median of the gaps, and the gaps that are another whole multiple of it within
        `STEP_TOLERANCE`; the list is empty when any gap is not a multiple.

    Example:
        >>> missing_slices(np.array([2.5, 2.5, 7.5, 2.5]))
        (2.5, [(2, 2)])
    """
    usual = float(np.sort(gaps_mm)[(len(gaps_mm) - 1) // 2])
    multiples = np.rint(gaps_mm / usual)
    if (multiples < 1).any() or (np.abs(gaps_mm / usual - multiples) > STEP_TOLERANCE).any():
        return usual, []
    return usual, [(int(k), int(multiples[k]) - 1) for k in np.flatnonzero(multiples > 1)]


def _complete(folder: Path, places: Sequence[Place]) -> tuple[Vector, Vector, Vector]:
    """All positions (n, 3), and the orientation (6,) and spacing (2,) that the slices share."""
    for name, keyword in (
        ("position", "ImagePositionPatient"),
        ("orientation", "ImageOrientationPatient"),
        ("spacing", "PixelSpacing"),
    ):
        for place in places:
            value = getattr(place, name)
            if value is None or np.isnan(value).any():
                fault, remedy = f"has no numbers in {keyword}", "Export the series again."
                if value is None:
                    fault = f"lacks {keyword}"
                    remedy = "Export the original slices, not a secondary capture."
                reason = f"the header {fault}, so its place in the patient is not known."
                raise InputError("E_GEOMETRY", place.path, reason, remedy)
    positions = np.array([place.position for place in places])
    orientations = np.array([place.orientation for place in places])
    spacings = np.array([place.spacing for place in places])
    if (spacings <= 0).any():
        worst = places[int(np.argmin(spacings.min(axis=1)))]
        reason = f"PixelSpacing is {worst.spacing}, and must be above 0 mm."
        raise InputError("E_GEOMETRY", worst.path, reason, "Export the series again.")
    _check_directions(folder, orientations)
    if (np.abs(spacings / spacings[0] - 1) > SPACING_TOLERANCE).any():
        other = int(np.argmax(np.abs(spacings / spacings[0] - 1).max(axis=1)))
        reason = (
            f"{places[0].name} has pixels of {_mm(spacings[0])} mm and "
            f"{places[other].name} of {_mm(spacings[other])} mm."
        )
        remedy = "Put the slices of one size into a folder of their own."
        raise InputError("E_SERIES", folder, reason, remedy)
    return positions, orientations[0], spacings[0]


def _check_directions(folder: Path, orientations: Vector) -> None:
    counts: list[int] = []
    rest = orientations
    while len(rest):
        same = np.abs(rest - rest[0]).max(axis=1) <= ORIENTATION_TOLERANCE
        counts.append(int(same.sum()))
        rest = rest[~same]
    if len(counts) > 1:
        sizes = " + ".join(map(str, counts))
        reason = f"the images of the series lie in {len(counts)} directions ({sizes} images)."
        remedy = "Put the slices of one direction into a folder of their own."
        raise InputError("E_SERIES", folder, reason, remedy)


def _unit_axes(path: Path, orientation: Vector) -> tuple[Vector, Vector]:
    """The two in-plane directions, made exactly unit and perpendicular."""
    row, column = orientation[:3], orientation[3:]
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(row @ column))) > UNIT_TOLERANCE:
        reason = (
            f"ImageOrientationPatient {orientation.tolist()} is not a pair of perpendicular unit "
            "vectors."
        )
        raise InputError("E_GEOMETRY", path, reason, "Export the series again.")
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _check_heights(folder: Path, heights: Vector, names: Sequence[str]) -> tuple[float, float]:
    """The step and the tolerance in mm of sorted `heights` (n,), or the cause that it has none."""
    gaps = np.diff(heights)
    step = float(heights[-1] - heights[0]) / len(gaps)
    same = gaps <= SAME_HEIGHT * (step or 1.0)
    if same.any():
        raise _same_height_fault(folder, gaps, same, names)
    tolerance = min(POSITION_TOLERANCE_MM, STEP_TOLERANCE * step)
    off_grid = np.abs(heights - np.linspace(heights[0], heights[-1], len(heights)))
    if off_grid.max() <= tolerance:
        return step, tolerance
    usual, holes = missing_slices(gaps)
    if holes:
        where = " and ".join(
            f"{count} missing between {names[k]} and {names[k + 1]} ({gaps[k]:.2f} mm apart)"
            for k, count in holes[:SHOWN_HOLES]
        )
        if len(holes) > SHOWN_HOLES:
            where += f" and {counted(len(holes) - SHOWN_HOLES, 'hole')} more"
        reason = f"the slices have holes, {where}; the usual step is {usual:.2f} mm."
        remedy = "Export or copy the series again, whole."
        raise InputError("E_SERIES", folder, reason, remedy)
    worst = int(np.argmax(np.abs(gaps - usual)))
    reason = (
        f"the gaps between slices are uneven, from {gaps.min():.2f} to {gaps.max():.2f} mm; the "
        f"oddest is {gaps[worst]:.2f} mm between {names[worst]} and {names[worst + 1]}."
    )
    raise InputError("E_SERIES", folder, reason, "Export a series of one slice distance.")


def _same_height_fault(
    folder: Path, gaps: Vector, same: npt.NDArray[np.bool_], names: Sequence[str]
) -> InputError:
    pair = int(np.flatnonzero(same)[0])
    levels = int((~same).sum()) + 1
    reason = (
        f"{names[pair]} and {names[pair + 1]} are different images of one place "
        f"({len(gaps) + 1} images at {counted(levels, 'place')})."
    )
    if (len(gaps) + 1) % levels == 0:
        reason += " The series may hold several phases or reconstructions."
    remedy = "Put the slices of one volume into a folder of their own."
    return InputError("E_SERIES", folder, reason, remedy)


def _check_sideways(
    folder: Path, positions: Vector, names: Sequence[str], *, tolerance: float
) -> None:
    """Refuse sorted `positions` (n, 3) that do not lie on a line."""
    off = np.linalg.norm(
        positions - np.linspace(positions[0], positions[-1], len(positions)), axis=1
    )
    if off.max() > 2 * tolerance:  # its height may be off by one tolerance already
        worst = int(np.argmax(off))
        shift = f"{off[worst]:.2f} mm"
        reason = f"{names[worst]} is shifted sideways by {shift} against the other slices."
        remedy = "Export a series whose slices lie straight behind each other."
        raise InputError("E_SERIES", folder, reason, remedy)


def _mm(values: Vector) -> str:
    return " x ".join(f"{value:g}" for value in values)
