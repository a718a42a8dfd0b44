# SPDX-License-Identifier: Apache-2.0
"""A label table with everything that is hard to write, and a mask for it, counted by hand."""

import numpy as np

from medvol.labels import Code, Label, LabelTable, Terminology

ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
ALTERED = Code("SCT", "49755003", "Morphologically Altered Structure")
LUNG_CODE = Code("SCT", "39607008", "Lung")
GROUND_GLASS_CODE = Code("DCM", "112120", "Ground glass opacity")
HARD_TABLE = LabelTable(
    (
        Label(1, "empty", (10, 20, 30)),  # no voxel has it, and it comes first
        Label(
            2, "Milchglas-Trübung", (255, 0, 0), Terminology(ALTERED, GROUND_GLASS_CODE, LUNG_CODE)
        ),
        Label(7, '肺 <left> & "right" | a\\b', (0, 128, 255), Terminology(ANATOMY, LUNG_CODE)),
        Label(300, "above a byte", (1, 2, 3)),
    )
)
HARD_SHAPE = (20, 22, 24)
HARD_VOXELS = {1: 0, 2: 90, 7: 400, 300: 170}
HARD_EXTENT = [2, 18, 3, 19, 3, 19]  # first and last index of any label along x, y, z


def hard_mask() -> np.ndarray:
    """Boxes of 6*3*5 = 90, 4*10*10 = 400 and 2*5*17 = 170 voxels, (X, Y, Z) int16."""
    mask = np.zeros(HARD_SHAPE, np.int16)
    mask[2:8, 3:6, 4:9] = 2
    mask[12:16, 10:20, 10:20] = 7
    mask[17:19, 4:9, 3:20] = 300
    return mask
