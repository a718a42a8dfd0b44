# SPDX-License-Identifier: Apache-2.0
"""How alike two masks are, voxel by voxel."""

from pathlib import Path
from typing import Any

import numpy as np


def read_mask(path: Path) -> Any:
    """Labels (X, Y, Z) of a mask, on the axes of RAS whatever those of the file."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    return np.asarray(image.dataobj).squeeze().astype(np.uint8)


def agreement(one: Any, other: Any) -> dict[str, float]:
    """Dice of the labels, the least of any label and of all marked voxels; and voxels that differ.

    Two masks without a label agree on it.
    """
    if one.shape != other.shape:
        return {"dice": 0.0, "least": 0.0, "differ": float(one.size)}
    labels = max(int(one.max()), int(other.max())) + 1
    both = np.bincount(one[one == other].ravel(), minlength=labels)[1:]
    each = [np.bincount(mask.ravel(), minlength=labels)[1:] for mask in (one, other)]
    total = each[0] + each[1]
    shares = 2 * both[total > 0] / total[total > 0]
    return {
        "dice": float(2 * both.sum() / total.sum()) if total.sum() else 1.0,
        "least": float(shares.min()) if len(shares) else 1.0,
        "differ": float((one != other).sum()),
    }
