# SPDX-License-Identifier: Apache-2.0
"""The lesions of a true and of a predicted mask, each beside those of the other that it touches.

A lesion is a group of connected voxels, also over corners. The rule is that of the challenge on
lesions of multiple sclerosis (Carass et al. 2017, doi 10.1016/j.neuroimage.2016.12.064): one voxel
in common is enough. So one mark over three true lesions finds all three, and three marks on one
lesion find one; none of them is false. How much of a lesion lies in the other mask, and how many
lesions there it touches, is kept, so that a stricter rule can be laid over.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from ...spatial import Affine

SHARED_CORNER = 26  # connectivity: voxels that share a corner are one lesion


class MatchedLesion(NamedTuple):
    """A lesion of the truth, or one that was marked.

    Args:
        true: it is of the truth, else of the prediction.
        voxels: that it has.
        shared: of these, in the other mask.
        partners: lesions of the other mask that it has a voxel in common with.
        centre_mm: middle of its voxels (x, y, z) in RAS.
    """

    true: bool
    voxels: int
    shared: int
    partners: int
    centre_mm: tuple[float, float, float]

    @property
    def outcome(self) -> str:
        """ "found" or "missed" of the truth, "correct" or "false" of the prediction."""
        words = ("missed", "found") if self.true else ("false", "correct")
        return words[self.partners > 0]


class LesionCounts(NamedTuple):
    """Lesions of a case.

    Args:
        true: in the truth.
        found: of these, with at least one voxel marked.
        predicted: in the prediction.
        false: of these, without a single voxel of any true lesion.
    """

    true: int
    found: int
    predicted: int
    false: int


def match_lesions(
    predicted: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_], affine: Affine
) -> tuple[MatchedLesion, ...]:
    """Every lesion of both masks: those of the truth, then the marked ones, the largest first.

    Args:
        predicted: the region, (X, Y) or (X, Y, Z).
        true: the same of the truth, same shape.
        affine: (4, 4), voxel index of these arrays to RAS mm.

    Example:
        >>> true = np.array([[1, 1, 0, 0, 0, 1]], bool)
        >>> found = match_lesions(np.array([[0, 1, 0, 1, 0, 0]], bool), true, np.eye(4))
        >>> [(lesion.outcome, lesion.voxels, lesion.shared) for lesion in found]
        [('found', 2, 1), ('missed', 1, 0), ('correct', 1, 1), ('false', 1, 0)]
    """
    # padded to volumes, since cc3d 4.1.1 errs on images with 8 neighbours, and on rows of voxels
    masks = [np.pad(np.atleast_3d(mask), 1) for mask in (true, predicted)]
    parts = [cc3d.connected_components(mask, connectivity=SHARED_CORNER) for mask in masks]
    counts = [cc3d.statistics(part, no_slice_conversion=True) for part in parts]
    both = masks[0] & masks[1]
    # voxels that a lesion of the truth (row) and one of the prediction (column) have in common
    table = coo_array(
        (np.ones(both.sum(), np.int64), tuple(part[both] for part in parts)),
        shape=tuple(len(count["voxel_counts"]) for count in counts),
    ).tocsr()
    of_truth = _lesions(counts[0], table, affine, true=True)
    return (*of_truth, *_lesions(counts[1], table.T.tocsr(), affine, true=False))


def count_lesions(lesions: Iterable[MatchedLesion], *, smallest_voxels: int = 1) -> LesionCounts:
    """How many there are, how many were found, and how many are false.

    Those below `smallest_voxels` are not counted, but still find, and are still found.

    Args:
        lesions: of both masks.
        smallest_voxels: of a lesion that counts, 1 or more.
    """
    large = [lesion for lesion in lesions if lesion.voxels >= smallest_voxels]
    outcomes = [lesion.outcome for lesion in large]
    true = sum(lesion.true for lesion in large)
    return LesionCounts(
        true, outcomes.count("found"), len(large) - true, outcomes.count("false")
    )  # fmt: skip


def _lesions(
    counts: dict[str, Any], table: Any, affine: Affine, *, true: bool
) -> list[MatchedLesion]:
    """Lesions of one mask, the largest first.

    Args:
        counts: of cc3d, of the padded mask; number 0 is what is outside.
        table: (lesions of it, lesions of the other) voxels in common.
        affine: of the mask without padding.
        true: it is the truth.
    """
    voxels = counts["voxel_counts"].astype(np.int64)
    centres = (counts["centroids"] - 1) @ affine[:3, :3].T + affine[:3, 3]
    shared, partners = table.sum(axis=1), np.diff(table.indptr)
    order = 1 + np.argsort(-voxels[1:], kind="stable")
    return [
        MatchedLesion(
            true, int(voxels[i]), int(shared[i]), int(partners[i]), tuple(centres[i].tolist())
        )
        for i in order
    ]
