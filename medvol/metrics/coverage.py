# SPDX-License-Identifier: Apache-2.0
"""Whether an image shows the organ that a bundle is for, whole and finely enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Note
from ..spatial import Affine, feet_head_axis, orientation, spacing_mm
from .measurements import Counts

PLANES = {"sagittal": "LR", "coronal": "PA", "axial": "IS"}  # to the axis that crosses its slices
THICK = 1.5  # times the other voxel sides: from here on slices have a plane at all
# Of the largest area of the organ in a slice. Of the lungs that the shipped network marks in public
# chest CTs, the first and last slice have at most 0.03 where the scan shows both ends, and 0.12 to
# 0.85 where it does not.
CUT_SHARE = 0.06


@dataclass(frozen=True)
class Coverage:
    """What an image must show, so that an answer is about the whole organ.

    Args:
        organ: what must be shown, in the plural where there are two, such as "lungs".
        extent_mm: shortest stack, between feet and head, that can hold it.
        usual_mm: stack that holds it in most patients.
        slices: fewest, between feet and head.
        in_plane_mm: (finest, coarsest) voxel side across the patient.
        between_slices_mm: (finest, coarsest) distance of slices between feet and head.
        orientation: of slices, one of `PLANES`.

    Raises:
        ValueError: a length, number or range that is not above 0 or not in order, or another word.
    """

    organ: str
    extent_mm: float
    usual_mm: float
    slices: int
    in_plane_mm: tuple[float, float]
    between_slices_mm: tuple[float, float]
    orientation: str = "axial"

    def __post_init__(self) -> None:
        if not 0 < self.extent_mm <= self.usual_mm:
            raise ValueError(
                f"extent_mm {self.extent_mm:g} and usual_mm {self.usual_mm:g} are not lengths in "
                "rising order"
            )
        if self.slices < 1:
            raise ValueError(f"slices is {self.slices}; give 1 or more")
        for name, (low, high) in (
            ("in_plane_mm", self.in_plane_mm), ("between_slices_mm", self.between_slices_mm),
        ):  # fmt: skip
            if not 0 < low < high:
                raise ValueError(f"{name} {low:g} to {high:g} is not a range above 0")
        if self.orientation not in PLANES:
            raise ValueError(
                f"orientation is {self.orientation!r}; give one of {', '.join(PLANES)}"
            )

    @classmethod
    def from_metadata(cls, row: Mapping[str, Any]) -> "Coverage":
        """Read it from `coverage` of a bundle's `metadata.json`.

        Raises:
            KeyError, TypeError, ValueError: something is missing or wrong.
        """
        ranges = {}
        for name in ("in_plane_mm", "between_slices_mm"):
            low, high = (float(value) for value in row[name])
            ranges[name] = (low, high)
        return cls(
            str(row["organ"]), float(row["extent_mm"]), float(row["usual_mm"]), int(row["slices"]),
            **ranges, orientation=str(row["orientation"]),
        )  # fmt: skip

    def notes(self, shape: Sequence[int], affine: Affine) -> list[Note]:
        """What a grid lacks, in words: N_COVERAGE and N_GRID.

        Args:
            shape: (X, Y, Z).
            affine: (4, 4), voxel index to RAS mm.

        Example:
            >>> import numpy as np
            >>> lungs = Coverage("lungs", 150, 250, 20, (0.3, 2.5), (0.3, 8))
            >>> grid = np.diag([0.8, 0.8, 2.0, 1.0])
            >>> print(*lungs.notes((512, 512, 12), grid))
            N_COVERAGE 12 slices, 24 mm: the lungs are not covered; the bundle needs about 250 mm.
            >>> lungs.notes((512, 512, 125), grid)
            []
        """
        axis, steps = feet_head_axis(affine), spacing_mm(affine)
        number, step = shape[axis], steps[axis]
        is_are = "are" if self.organ.endswith("s") else "is"
        notes = []
        if number * step < self.extent_mm or number < self.slices:
            text = f"{number} slice{'s' if number > 1 else ''}, {number * step:.0f} mm: the "
            text += f"{self.organ} {is_are} not covered; the bundle needs about "
            text += f"{self.usual_mm:.0f} mm" + (
                f" in {self.slices} slices or more." if number * step >= self.extent_mm else "."
            )
            notes.append(Note("N_COVERAGE", text))
        across = [side for other, side in enumerate(steps) if other != axis]
        odd = [
            f"{what} {side:.3g} mm (it was made for {low:g} to {high:g})"
            for what, side, (low, high) in (
                ("voxels across the patient are", max(across), self.in_plane_mm),
                ("voxels across the patient are", min(across), self.in_plane_mm),
                ("slices between feet and head lie", step, self.between_slices_mm),
            )
            if not low <= side <= high
        ]
        plane = plane_of(affine)
        if plane not in (None, self.orientation):
            odd.insert(0, f"slices are {plane} (it was made for {self.orientation} ones)")
        if odd:
            listed = "; ".join(dict.fromkeys(odd))
            text = f"the grid is not what the bundle was made for: {listed}. Expect a worse mask."
            notes.append(Note("N_GRID", text))
        return notes


def plane_of(affine: Affine) -> str | None:
    """The plane of an image's slices, of `PLANES`; None where no voxel side is clearly longest.

    Example:
        >>> import numpy as np
        >>> plane_of(np.diag([0.8, 5.0, 0.8, 1.0])), plane_of(np.eye(4))
        ('coronal', None)
    """
    steps = spacing_mm(affine)
    *_, second, longest = sorted(steps)
    if longest < THICK * second:
        return None
    code = orientation(affine)[steps.index(longest)]
    return next(plane for plane, codes in PLANES.items() if code in codes)


def cut_note(areas: Counts, organ: str) -> list[Note]:
    """N_COVERAGE where an organ goes on beyond an end of the stack, or is not there at all.

    Args:
        areas: voxels of the organ in each slice, from feet to head, (N,).
        organ: its name, such as "lung".

    Returns:
        One note, or none.

    Example:
        >>> import numpy as np
        >>> print(*cut_note(np.array([60, 100, 80, 2]), "lung"))
        N_COVERAGE the stack begins within the lung: the lowest slice still shows 60 % of the \
largest area; findings may go on beyond it.
        >>> cut_note(np.array([5, 100, 80, 2]), "lung")
        []
    """
    largest = int(areas.max())
    if not largest:
        return [Note("N_COVERAGE", f"no {organ} was found in the image.")]
    first, last = (float(areas[end]) / largest for end in (0, -1))
    ends = [
        (f"the stack {verb} within the {organ}", f"the {place} slice still shows {share:.0%}")
        for verb, place, share in (("begins", "lowest", first), ("ends", "highest", last))
        if share > CUT_SHARE
    ]
    if not ends:
        return []
    where = "the stack begins and ends within the " + organ if len(ends) == 2 else ends[0][0]
    shares = " and ".join(text for _, text in ends).replace("%", " %")
    text = f"{where}: {shares} of the largest area; findings may go on beyond it."
    return [Note("N_COVERAGE", text)]
