# SPDX-License-Identifier: Apache-2.0
"""Tiny volumes whose content was counted by hand, for tests of every part.

`tiny_chest` is a box of a chest: where a test needs tissue, lungs and a lesion. `l_shape` is an
L made of voxels: no turn or mirror of it looks the same, so a mask that comes back on the wrong
axes is found out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medvol.labels import Code, Label, LabelTable, Terminology

AIR_HU, TISSUE_HU, LUNG_HU, GROUND_GLASS_HU, CONSOLIDATION_HU = -1000, 40, -850, -580, -100
GROUND_GLASS, CONSOLIDATION, LUNG = 1, 2, 3
TINY_SHAPE = (32, 32, 16)
TINY_AFFINE = np.array(  # LPS, 2 x 2 x 4 mm, first voxel at (30, 40, -20) mm
    [[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -20], [0, 0, 0, 1.0]]
)
VOXELS_PER_CLASS = {GROUND_GLASS: 64, CONSOLIDATION: 32, LUNG: 1440}  # at TINY_SHAPE


class TinyChest(NamedTuple):
    """CT (X, Y, Z) int16 in HU, labels uint8 of that shape, affine to RAS mm."""

    ct: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    affine: npt.NDArray[np.float64]


def tiny_chest(
    shape: tuple[int, int, int] = TINY_SHAPE, *, lesions: bool = True, noise_hu: float = 0.0
) -> TinyChest:
    """A body box with two lung boxes, ground-glass in the first lung, consolidation in the second.

    Axes are LPS, so the first lung along x is the patient's right. At the default shape the body
    is voxels 3-28 x 5-26 x all, the lungs are 6-13 and 18-25 x 10-21 x 4-11: 2 * 8 * 12 * 8 =
    1536 voxels, of which 4 * 4 * 4 = 64 are ground-glass and 4 * 4 * 2 = 32 consolidation. Other
    shapes cut this chest off or give it more air.
    """
    ct = np.full(shape, AIR_HU, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.uint8)
    ct[3:29, 5:27] = TISSUE_HU
    boxes = [
        (np.s_[6:14, 10:22, 4:12], LUNG_HU, LUNG),
        (np.s_[18:26, 10:22, 4:12], LUNG_HU, LUNG),
    ]
    if lesions:
        boxes += [
            (np.s_[6:10, 16:20, 5:9], GROUND_GLASS_HU, GROUND_GLASS),
            (np.s_[20:24, 17:21, 6:8], CONSOLIDATION_HU, CONSOLIDATION),
        ]
    for box, hu, label in boxes:
        ct[box], labels[box] = hu, label
    ct += np.random.default_rng(0).normal(0.0, noise_hu, shape) if noise_hu else 0
    return TinyChest(np.rint(ct).astype(np.int16), labels, TINY_AFFINE.copy())


def l_shape(shape: tuple[int, int, int] = (12, 10, 8)) -> npt.NDArray[np.uint8]:
    """An L of ones without symmetry: 6 voxels along x, then 3 along y, then 2 along z; 11 in all.

    It starts at voxel (2, 2, 2): x 2-7, then (7, 3-5, 2), then (7, 5, 3-4).
    """
    mask = np.zeros(shape, dtype=np.uint8)
    mask[2:8, 2, 2] = 1
    mask[7, 3:6, 2] = 1
    mask[7, 5, 3:5] = 1
    return mask


def save_nifti(path: Path, array: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> Path:
    """Write with nibabel alone, so that medvol's own writers are not judged by themselves."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def make_radiopaedia_set(folder: Path, cases: Sequence[str] = ("rp1", "rp2", "rp3", "rp4")) -> Path:
    """Write a tiny chest a case, as `<case>_ct`, `<case>_lesion` and `<case>_lung` .nii.gz."""
    made = tiny_chest(noise_hu=5)
    lesion = np.where(made.labels < LUNG, made.labels, 0).astype(np.uint8)
    lung = (made.labels > 0).astype(np.uint8)
    for case in cases:
        for kind, array in (("ct", made.ct), ("lesion", lesion), ("lung", lung)):
            save_nifti(folder / f"{case}_{kind}.nii.gz", array, made.affine)
    return folder


PUBLISHED_CORONACASES = {"ct": "COVID-19-CT-Seg_20cases", "lesion": "Infection_Mask",
                         "lung": "Lung_Mask"}  # fmt: skip


def make_coronacases_set(
    folder: Path, cases: Sequence[str] = ("coronacases_001",), *, published: bool = False
) -> Path:
    """Write a tiny chest a case with one class of lesion, side by side or as published."""
    made = tiny_chest()
    lesion = ((made.labels > 0) & (made.labels < LUNG)).astype(np.uint8)
    lung = (made.labels > 0).astype(np.uint8)
    for case in cases:
        for kind, array in (("ct", made.ct), ("lesion", lesion), ("lung", lung)):
            own = f"{PUBLISHED_CORONACASES[kind]}/{case}" if published else f"{case}_{kind}"
            save_nifti(folder / f"{own}.nii.gz", array, made.affine)
    return folder


PUBLISHED_MEDSEG = {"train": ("TrainingSet/MultiClassInfection-Train/Imgs",
                              "TrainingSet/MultiClassInfection-Train/GT"),
                    "test": ("TestingSet/MultiClassInfection-Test/Imgs",
                             "TestingSet/MultiClassInfection-Test/GT")}  # fmt: skip


def make_medseg_set(folder: Path, *, published: bool = False) -> Path:
    """Write slices 0, 1 and 10 for training and 2 for tests: grey pictures and masks as PNG.

    Each is slice 7 of the tiny chest cropped to the lungs, x 6-25, y 10-21: 20 x 12 pixels, of
    which 16 are ground-glass and 16 consolidation. Grey is 30 at -930 HU and 210 at 40 HU.
    """
    from PIL import Image

    made = tiny_chest()
    place = np.s_[6:26, 10:22, 7]
    grey = np.rint(30 + (made.ct[place] + 930.0) * 180 / 970).astype(np.uint8)
    mask = np.where(made.labels[place] < LUNG, made.labels[place], 0).astype(np.uint8)
    picture = Image.fromarray(mask)
    if published:  # a palette, as Pascal VOC has it
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    for split, names in (("train", ("0", "1", "10")), ("test", ("2",))):
        images, masks = (
            PUBLISHED_MEDSEG[split] if published else (f"{split}/imgs", f"{split}/masks")
        )
        for kind in (images, masks):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            Image.fromarray(grey).save(folder / images / f"{name}.png")
            picture.save(folder / masks / f"{name}.png")
    return folder


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
