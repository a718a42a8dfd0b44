# SPDX-License-Identifier: Apache-2.0
"""A predicted label map beside the true one, region by region: overlap, surface, lesions, volume.

A region is one label or several together. What happens where a mask is empty stands in
`EMPTY_RULE`, which reports repeat word for word.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import find_objects

from ...labels import Label, LabelTable
from ...spatial import Affine, spacing_mm, voxel_volume_ml
from ..intervals import defined, ratio
from .lesion_matching import LesionCounts, MatchedLesion, count_lesions, match_lesions
from .overlap import dice, overlap_counts
from .surface import SurfaceAgreement, surface_agreement

Mask = npt.NDArray[np.integer[Any]]
TOLERANCE_MM = 3.0  # as Ma et al. 2021 (doi 10.1002/mp.14676) take for infections in chest CT
SMALLEST_LESION_ML = 0.1  # a ball 6 mm wide; hand-drawn masks have specks of a few voxels
MISSED, FALSE, CORRECT = 1, 2, 3
ERRORS = LabelTable(  # colours of no lesion, and told apart by colour-blind readers too
    (
        Label(MISSED, "missed (false negative)", (230, 60, 190)),
        Label(FALSE, "false (false positive)", (95, 80, 255)),
        Label(CORRECT, "correct (true positive)", (170, 245, 170)),
    )
)
COLUMNS = (  # of a table of cases; behind them the lesions
    "dice", "surface_dice", "hd95_mm", "true_ml", "predicted_ml", "volume_error_ml", "voxels_both",
    "voxels_predicted", "voxels_true", "lesion_sensitivity",
)  # fmt: skip
EMPTY_RULE = (
    "Where truth and prediction are both empty, Dice, surface Dice and HD95 are not defined, and "
    "no mean or median counts the case. Where only the prediction is empty, Dice and surface Dice "
    "are 0 and HD95 is not defined. Where only the truth is empty, the same holds for the case, "
    "but mean and median of Dice and surface Dice leave it out, since there was nothing to find; "
    "its false voxels count in pooled Dice, and its false lesions and volume in their means. "
    "Limits of agreement leave out cases in which both are empty; those of ratios also cases in "
    "which one is."
)


@dataclass(frozen=True)
class Measure:
    """With what regions are compared.

    Args:
        tolerance_mm: of surface Dice.
        smallest_lesion_ml: smaller components are not counted as lesions.
        partly: value of voxels in the truth of which only this is known, to the labels that they
            may be, 0 for background. They are left out of a region that has some of these labels,
            as if marked neither there nor in the truth; they are in one that has all of them.

    Raises:
        ValueError: one is negative or no number.
    """

    tolerance_mm: float = TOLERANCE_MM
    smallest_lesion_ml: float = SMALLEST_LESION_ML
    partly: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tolerance_mm", "smallest_lesion_ml"):
            if not 0 <= (value := getattr(self, name)) < np.inf:
                raise ValueError(f"{name} is {value}; give 0 or more")

    def smallest_voxels(self, voxel_ml: float) -> int:
        """Voxels of the smallest lesion that counts, 1 or more.

        Args:
            voxel_ml: volume of a voxel.
        """
        return max(1, int(np.ceil(self.smallest_lesion_ml / voxel_ml - 1e-9)))


@dataclass(frozen=True)
class RegionFigures:
    """One region of one case.

    Args:
        voxels_both: in truth and prediction.
        voxels_predicted: in the prediction.
        voxels_true: in the truth.
        voxel_ml: volume of a voxel.
        surface_dice: 0 to 1, at the tolerance; NaN where both are empty.
        hd95_mm: NaN where one is empty.
        lesions: None where the region's components are not lesions, as those of an organ.
        matched: the lesions one by one, also those too small to be counted.
    """

    voxels_both: int
    voxels_predicted: int
    voxels_true: int
    voxel_ml: float
    surface_dice: float
    hd95_mm: float
    lesions: LesionCounts | None
    matched: tuple[MatchedLesion, ...] = ()

    @property
    def dice(self) -> float:
        """0 to 1; NaN where both are empty."""
        counts = [self.voxels_both, self.voxels_predicted, self.voxels_true]
        return float(dice(torch.tensor(counts, dtype=torch.float64)))

    @property
    def true_ml(self) -> float:
        """Volume of the truth."""
        return self.voxels_true * self.voxel_ml

    @property
    def predicted_ml(self) -> float:
        """Volume of the prediction."""
        return self.voxels_predicted * self.voxel_ml

    @property
    def volume_error_ml(self) -> float:
        """Predicted less true."""
        return self.predicted_ml - self.true_ml

    @property
    def lesion_sensitivity(self) -> float:
        """Share of the true lesions that were found, 0 to 1; NaN where there are none."""
        return float(ratio(self.lesions.found, self.lesions.true)) if self.lesions else np.nan

    def row(self) -> dict[str, float | int | None]:
        """All figures by name, None where one is not defined; lesions only where they count."""
        row = {name: getattr(self, name) for name in COLUMNS}
        for name in LesionCounts._fields:
            row[f"lesions_{name}"] = getattr(self.lesions, name) if self.lesions else np.nan
        return defined(row)


def compare(
    predicted: Mask,
    true: Mask,
    affine: Affine,
    regions: Mapping[str, Sequence[int]],
    *,
    lesions: Collection[str] = (),
    measure: Measure = Measure(),
) -> dict[str, RegionFigures]:
    """Compare two label maps on one grid.

    Args:
        predicted: (X, Y, Z) integers, 0 for background.
        true: (X, Y, Z) integers, the same of the truth.
        affine: (4, 4) voxel to mm.
        regions: name to labels, such as {"lesion": (1, 2)}.
        lesions: names of the regions whose connected components are counted.
        measure: tolerance, smallest lesion, and what is known in part.

    Returns:
        Figures by name of the region, in the order of `regions`.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(
            f"prediction {predicted.shape} and truth {true.shape} differ in shape; "
            "bring both to one grid first"
        )
    figures, box = {}, foreground_box((predicted > 0) | (true > 0))
    spacing, voxel_ml = spacing_mm(affine), voxel_volume_ml(affine)
    thick = [axis for axis, size in enumerate(true.shape) if size > 1]
    for name, values in regions.items():
        marked, truth = (np.isin(labels[box], values) for labels in (predicted, true))
        for value, possible in measure.partly.items():
            if inside := {*possible}.intersection(values):
                there, whole = true[box] == value, inside == {*possible}
                truth |= there & whole
                marked &= ~there | whole
        inner = foreground_box(marked | truth)
        marked, truth = marked[inner], truth[inner]
        both, in_marked, in_truth = overlap_counts(
            torch.from_numpy(marked.view(np.uint8)), torch.from_numpy(truth.view(np.uint8)), (1,)
        ).tolist()
        surface = _surface(marked, truth, spacing, thick, tolerance_mm=measure.tolerance_mm)
        counts, matched = None, tuple[MatchedLesion, ...]()
        if name in lesions:
            matched = match_lesions(marked, truth, _moved(affine, box, inner))
            counts = count_lesions(
                matched, smallest_voxels=measure.smallest_voxels(voxel_ml)
            )  # fmt: skip
        figures[name] = RegionFigures(
            int(both), int(in_marked), int(in_truth), voxel_ml, *surface, counts, matched
        )
    return figures


def error_map(predicted: Mask, true: Mask, values: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Where a region was missed, falsely marked, or correctly marked; values as in `ERRORS`.

    Args:
        predicted: integers of any shape.
        true: the same of the truth, same shape.
        values: labels that form the region.

    Returns:
        The same shape.

    Example:
        >>> error_map(np.array([1, 2, 0, 3]), np.array([1, 0, 1, 3]), [1, 2]).tolist()
        [3, 2, 1, 0]
    """
    marked, truth = np.isin(predicted, values), np.isin(true, values)
    errors = np.zeros(marked.shape, np.uint8)
    errors[truth & ~marked] = MISSED
    errors[marked & ~truth] = FALSE
    errors[marked & truth] = CORRECT
    return errors


def foreground_box(mask: npt.NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around a mask; without any voxel, one of no size.

    Example:
        >>> foreground_box(np.array([[0, 0, 0], [0, 1, 1]], bool))
        (slice(1, 2, None), slice(1, 3, None))
    """
    (box,) = find_objects(mask.view(np.uint8), max_label=1)
    return box or (slice(0, 0),) * mask.ndim


def _surface(
    marked: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    spacing: Sequence[float],
    thick: Sequence[int],
    *,
    tolerance_mm: float,
) -> SurfaceAgreement:
    """Agreement of surfaces; of an image of one slice that of the outlines in it.

    Args:
        marked, truth: (X, Y, Z).
        spacing: along each axis, in mm.
        thick: the axes along which the image has more than a voxel.
        tolerance_mm: as for `surface_agreement`.
    """
    if len(thick) == 2:
        (flat,) = {0, 1, 2} - {*thick}
        marked, truth = (np.asarray(mask.any(axis=flat)) for mask in (marked, truth))
        spacing = [spacing[axis] for axis in thick]
    return surface_agreement(marked, truth, spacing, tolerance_mm=tolerance_mm)


def _moved(affine: Affine, *boxes: Sequence[slice]) -> Affine:
    """The affine of a box in a box of a grid."""
    moved = affine.copy()
    for box in boxes:
        moved[:3, 3] += affine[:3, :3] @ [side.start for side in box]
    return moved
