# SPDX-License-Identifier: Apache-2.0
"""The label map that all chest CT data sets of medvol share, and how two masks become it."""

import numpy as np
import numpy.typing as npt

from ..bundle.label_set import shared_labels
from ..density import is_dense

GROUND_GLASS, CONSOLIDATION, LUNG = 1, 2, 3
NO_LESION = 4  # in label maps where lesions alone were drawn: background or lung, not known which
LABELS = shared_labels("covid_lesions")
PARTLY = {str(NO_LESION): ["background", LABELS[LUNG].name]}  # see `Datalist.partly`
LESION_VALUES = (GROUND_GLASS, CONSOLIDATION)
LESION_NAMES = tuple(LABELS[value].name for value in LESION_VALUES)


def merge_labels(lesion: npt.ArrayLike, lung: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """One label map of a lesion mask and a lung mask.

    Args:
        lesion: any shape; 0 none, 1 ground-glass opacity, 2 consolidation; any other value (3 is
            pleural effusion in the MedSeg masks) is background, since it is neither of these nor
            lung.
        lung: of the same shape; not 0 in the lungs, lesions included.

    Returns:
        The same shape: 0 background, 1 ground-glass opacity, 2 consolidation, 3 the rest of the
        lung. A lesion voxel outside the lung mask stays a lesion voxel.

    Example:
        >>> merge_labels([0, 0, 1, 2, 3, 1], [0, 1, 1, 1, 1, 0]).tolist()
        [0, 3, 1, 2, 0, 1]
    """
    marked = np.asarray(lesion)
    labels = np.where((np.asarray(lung) != 0) & (marked == 0), LUNG, 0).astype(np.uint8)
    labels[marked == 1] = GROUND_GLASS
    labels[marked == 2] = CONSOLIDATION
    return labels


def lesion_classes(
    hu: npt.NDArray[np.generic], lesion: npt.ArrayLike, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.uint8]:
    """Ground-glass opacity and consolidation of a lesion whose two kinds were drawn as one.

    Args:
        hu: of a CT, (X, Y, Z).
        lesion: of the same shape, not 0 in lesions.
        spacing_mm: of its voxels.

    Returns:
        (X, Y, Z): 0 none, 1 ground-glass opacity, 2 consolidation, where `density.is_dense`.

    Example:
        >>> hu, drawn = np.full((9, 1, 1), -600.0), np.ones((9, 1, 1))
        >>> hu[5:] = 0.0
        >>> lesion_classes(hu, drawn, (5.0, 5.0, 5.0))[:, 0, 0].tolist()
        [1, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    inside = np.asarray(lesion) != 0
    kinds = np.where(is_dense(hu, inside, spacing_mm), CONSOLIDATION, GROUND_GLASS)
    return np.where(inside, kinds, 0).astype(np.uint8)
