# SPDX-License-Identifier: Apache-2.0
"""A tiny brain MR whose content was counted by hand: as arrays, slice pictures and volumes.

A head box with a skin of two pixels; in FLAIR a bright tumour box on the patient's right, in front.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from phantoms import save_nifti
from PIL import Image

SHAPE = (32, 40, 6)  # columns, rows, slices
AIR, SKIN, BRAIN, TUMOUR = 0, 100, (60, 90, 70), (50, 180, 90)  # t1, FLAIR, t1c
TUMOUR_BOX = np.s_[8:14, 10:16, 2:4]  # 6 * 6 * 2 = 72 voxels, of the slices 2 and 3
WITH_TUMOUR = [2, 3]
SEQUENCES = ("t1", "flair", "t1c")
AFFINE = np.array(  # LPS, 4 x 4 x 5 mm
    [[-4.0, 0, 0, 60], [0, -4.0, 0, 80], [0, 0, 5.0, -10], [0, 0, 0, 1.0]]
)


class TinyBrain(NamedTuple):
    """Sequences (3, X, Y, Z) uint8 and mask (X, Y, Z) uint8; x to the left, y back, z up."""

    sequences: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]


def tiny_brain(*, tumour: bool = True) -> TinyBrain:
    """Head: columns 4-27, rows 6-33 of every slice; brain inside a skin of two pixels."""
    sequences = np.full((3, *SHAPE), AIR, np.uint8)
    sequences[:, 4:28, 6:34] = SKIN
    mask = np.zeros(SHAPE, np.uint8)
    for channel, brain, bright in zip(sequences, BRAIN, TUMOUR, strict=True):
        channel[6:26, 8:32] = brain
        if tumour:
            channel[TUMOUR_BOX] = bright
    if tumour:
        mask[TUMOUR_BOX] = 1
    return TinyBrain(sequences, mask)


def save_slices(
    folder: Path, made: TinyBrain, *, suffix: str = ".tif", masks: str | None = ".tif"
) -> Path:
    """`<case>_<n>` pictures from 1, called as the folder, with masks of 0 and 255 beside them."""
    folder.mkdir(parents=True)
    for k in range(made.mask.shape[2]):
        name = f"{folder.name}_{k + 1}"
        picture = np.ascontiguousarray(made.sequences[:, :, :, k].transpose(2, 1, 0))
        Image.fromarray(picture).save(folder / f"{name}{suffix}")
        if masks:
            mask = np.ascontiguousarray(made.mask[:, :, k].T * 255)
            Image.fromarray(mask).save(folder / f"{name}_mask{masks}")
    return folder


def save_volumes(folder: Path, made: TinyBrain, **affines: npt.NDArray[np.float64]) -> Path:
    """`t1.nii.gz`, `flair.nii.gz` and `t1c.nii.gz`; each on `AFFINE` or on its own."""
    for name, channel in zip(SEQUENCES, made.sequences, strict=True):
        save_nifti(folder / f"{name}.nii.gz", channel, affines.get(name, AFFINE))
    return folder


def make_lgg_set(folder: Path, patients: int = 4, *, suffix: str = ".tif") -> Path:
    """`patients` examinations in the published layout; the last one has no tumour."""
    for number in range(patients):
        made = tiny_brain(tumour=number < patients - 1)
        save_slices(folder / f"TCGA_XX_{number:04d}_20000101", made, suffix=suffix)
    return folder
