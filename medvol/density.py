# SPDX-License-Identifier: Apache-2.0
"""Which part of a lesion of the lung is consolidation, by how dense it is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, gaussian_filter

# how dense lesion around a voxel is consolidation, where both kinds were drawn as one. In the eight
# volumes of `sources.radiopaedia`, which have both, this agrees best with them: Dice of
# consolidation 0.88, all voxels of drawn lesions together; 0.80 from -250 HU, 0.76 from -450 HU;
# without smoothing 0.74 at best.
CONSOLIDATION_FROM_HU = -350.0
AROUND_MM = 2.0  # standard deviation of what is around a voxel
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends


def is_dense(
    hu: npt.NDArray[np.generic],
    lesion: npt.NDArray[np.bool_],
    spacing_mm: Sequence[float],
    *,
    from_hu: float = CONSOLIDATION_FROM_HU,
) -> npt.NDArray[np.bool_]:
    """Where the lesion around a voxel has `from_hu` or more in the mean.

    The mean is weighted by a Gaussian of `AROUND_MM`, and what is not lesion does not count.

    Args:
        hu: of a CT, (X, Y, Z).
        lesion: (X, Y, Z).
        spacing_mm: of its voxels along the three axes.
        from_hu: in HU.

    Returns:
        (X, Y, Z), a part of `lesion`.

    Example:
        >>> hu = np.full((9, 1, 1), -600.0)
        >>> hu[5:] = 0.0
        >>> is_dense(hu, np.ones_like(hu, bool), (5.0, 5.0, 5.0))[:, 0, 0].astype(int).tolist()
        [0, 0, 0, 0, 0, 1, 1, 1, 1]
    """
    dense = np.zeros(lesion.shape, bool)
    sigma = [AROUND_MM / mm for mm in spacing_mm]
    for found in find_objects(lesion.view(np.uint8)):  # one, that of all lesions
        box = tuple(
            slice(max(0, side.start - reach), side.stop + reach)  # as if in the whole volume
            for side, reach in zip(found, (int(TRUNCATE * s + 0.5) for s in sigma), strict=True)
        )
        inside = lesion[box].astype(np.float32)
        weight = gaussian_filter(inside, sigma, truncate=TRUNCATE)
        around = gaussian_filter(hu[box].astype(np.float32) * inside, sigma, truncate=TRUNCATE)
        dense[box] = lesion[box] & (around >= from_hu * weight)
    return dense
