# SPDX-License-Identifier: Apache-2.0
"""What a chest radiograph shows beside the lungs, as a few numbers: its border, neck and belly.

The picture is squeezed into 16 x 16 fields. A region is a fixed set of fields, the same for every
picture: a mask that followed the lungs would give away their shape, and so the disease. Nothing
that is computed over the whole picture, as its mean, goes in: that too would show what the lungs
look like.
"""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .resize_picture import resize_picture

FIELDS, FIELD_PIXELS = 16, 8  # a side; enough to see a letter or a black edge
BORDER = 1  # fields on each side, 6 % of the picture
LUNG_ROWS, LUNG_COLUMNS = slice(2, 14), slice(1, 15)  # where frontal radiographs have lungs; the
# tips of high lungs reach beyond it in a few pictures

Mask = npt.NDArray[np.bool_]


def regions() -> dict[str, Mask]:
    """Name of each region to (FIELDS, FIELDS), true where a field is looked at."""
    border, outside = np.ones((FIELDS, FIELDS), bool), np.ones((FIELDS, FIELDS), bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    outside[LUNG_ROWS, LUNG_COLUMNS] = False
    return {"border": border, "without the lungs": outside}


REGIONS = regions()


def surroundings(picture: Tensor) -> dict[str, npt.NDArray[np.float32]]:
    """Mean and standard deviation of the grey of each field of each region.

    Args:
        picture: (1, rows, columns) in [0, 1], not normalised.

    Returns:
        Name of the region to (2 * fields of it,): all means, then all deviations.

    Example:
        >>> import torch
        >>> {name: len(row) for name, row in surroundings(torch.zeros(1, 40, 30)).items()}
        {'border': 120, 'without the lungs': 176}
    """
    side = FIELDS * FIELD_PIXELS
    small = resize_picture(picture.float(), (side, side))[0].cpu().numpy()
    fields = small.reshape(FIELDS, FIELD_PIXELS, FIELDS, FIELD_PIXELS)
    mean, spread = fields.mean((1, 3)), fields.std((1, 3))
    return {
        name: np.concatenate([mean[mask], spread[mask]]).astype(np.float32)
        for name, mask in REGIONS.items()
    }
