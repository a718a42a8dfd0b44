# SPDX-License-Identifier: Apache-2.0
"""CT slices kept as grey pictures in an unknown window: approximate HU and spacing.

A lung window maps HU to grey on a line, and two tissues give two points of it. Soft tissue is the
highest peak of the bright half of the histogram; muscle and blood make it. The dark end of the
lungs is a low percentile of all that is darker than soft tissue: air in airways and healthy lung.
A peak of aerated lung would do for healthy slices only; where all lung is hazy, the peak is haze.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

SOFT_TISSUE_HU = 40.0  # muscle and blood without contrast medium
DARK_HU = -930.0  # median over twelve chest CTs of that percentile of the lungs' own bounding box
DARK_PERCENTILE = 3.0
DARKEST, BRIGHTEST = 3, 252  # greys beyond are borders, letters, and what the window cut off
SOFT_TISSUE_FROM = 150  # darker greys are lung and haze in every lung window
LUNG_BELOW_SOFT_TISSUE = 60  # greys, about 300 HU: fat is between
SMOOTHING = 3.0  # greys, standard deviation
LUNG_BOX_MM = (275.0, 240.0)  # right to left: median of twelve CTs; front to back: their largest


def soft_tissue_grey(grey: npt.NDArray[np.uint8]) -> int:
    """The grey of muscle and blood: the highest peak of the smoothed histogram from 150 on.

    Args:
        grey: 0 to 255, any shape.

    Returns:
        150 to 252; 252 where the window cuts soft tissue off.
    """
    inner = grey[(grey >= DARKEST) & (grey <= BRIGHTEST)]
    counts = np.bincount(inner, minlength=BRIGHTEST + 1).astype(np.float64)
    smooth = gaussian_filter1d(counts, SMOOTHING, mode="nearest")
    return SOFT_TISSUE_FROM + int(smooth[SOFT_TISSUE_FROM:].argmax())


def grey_to_hu(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Approximate HU of a chest slice in a lung window.

    Args:
        grey: 0 to 255, any shape.

    Returns:
        HU of the same shape.

    Raises:
        ValueError: nothing is dark enough to be lung.
    """
    soft = soft_tissue_grey(grey)
    lung = grey[(grey >= DARKEST) & (grey < soft - LUNG_BELOW_SOFT_TISSUE)]
    if not lung.size:
        raise ValueError("the picture shows no lung: nothing in it is dark")
    dark = float(np.percentile(lung, DARK_PERCENTILE))
    slope = (SOFT_TISSUE_HU - DARK_HU) / (soft - dark)
    return np.rint(SOFT_TISSUE_HU + (grey - float(soft)) * slope).astype(np.int16)


def lung_box_spacing_mm(width: int, depth: int) -> float:
    """Pixel size of a slice that was cropped to the lungs: as large as typical lungs allow.

    Args:
        width: pixels from right to left.
        depth: pixels from front to back.

    Returns:
        mm; the picture then fits into `LUNG_BOX_MM`.

    Example:
        >>> lung_box_spacing_mm(275, 200)
        1.0
    """
    return min(LUNG_BOX_MM[0] / width, LUNG_BOX_MM[1] / depth)
