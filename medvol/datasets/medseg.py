# SPDX-License-Identifier: Apache-2.0
"""The axial COVID-19 CT slices of MedSeg, as small volumes in about HU, as a datalist.

The original is the "100 axial CT images" of medicalsegmentation.com/covid19, in the form of
COVID-SemiSeg: cropped 8-bit pictures of an unknown lung window, the patient turned by 90 degrees,
50 slices to train on and the others to test. Read are `train/imgs`, `train/masks`, `test/imgs` and
`test/masks`: pictures, and masks of the same name and size with 0, 1 ground-glass opacity and
2 consolidation. Lung is not marked, so what is no lesion is either lung or other tissue.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter1d

from ..errors import InputError
from ..io.mask import write_mask
from ..io.volume_writer import write_volume
from .datalist import Case, build_datalist, case_facts
from .lung_lesions import LESION_NAMES, LESION_OR_NOT, LESION_VALUES, NO_LESION

SPLITS = ("train", "test")  # folds 0 and 1: the slices that fold 1 holds out are the test slices
KNOWN_VALUES = (0, 1, 2, 3)  # none, ground-glass, consolidation, pleural effusion
LUNG_HU, SOFT_TISSUE_HU = (
    -870.0,
    40.0,
)  # the peaks of a chest CT: lung, and muscle and blood
LUNG_GREYS, SOFT_TISSUE_GREYS = (10, 110), (150, 250)  # where the peaks are looked for
USUAL_LUNG, USUAL_SOFT_TISSUE = 45.0, 213.0  # medians of the slices that show both peaks clearly
CLEAR_SHARE = 0.006  # of the pixels, in a clear peak's highest grey level after smoothing
CLEAR_RISE = 1.5  # over the lowest level between the peaks
SMOOTHING = 4.0  # grey levels, standard deviation
LUNGS_WIDTH_MM = 275.0  # the pictures are cropped to both lungs; about an adult's
SLICE_MM = 5.0
REPEATS = 2  # of the slice: what has one slice is refused as no volume
ABOUT = {
    "name": "medseg_covid_ct_slices",
    "description": "COVID-19 chest CT slices with ground-glass opacity and consolidation",
    "licence": "non-commercial, attribution: MedSeg",
    "reference": "https://medicalsegmentation.com/covid19/",
}


def medseg_datalist(folder: Path, output: Path) -> dict[str, Any]:
    """Turn the slices upright, estimate their HU, write each as two equal slices, and list them.

    Args:
        folder: the data set in the layout of this module.
        output: folder for `images/<split>_<name>.nii.gz` and `labels/...`: 1 ground-glass opacity,
            2 consolidation, 4 no lesion.

    Returns:
        The datalist of `datalist.build_datalist`. The test slices are fold 1, so that fold 1's
        training part is the published training part. Which slices share a patient is not published.

    Raises:
        InputError: E_EMPTY no slices; E_PATH a mask is missing; E_GEOMETRY it has another size;
            E_VALUES it has other values; E_FORMAT a picture cannot be read.
    """
    cases, folds = [], {}
    for split, picture, mask in find_slices(folder):
        case = f"{split}_{picture.stem}"
        grey, lesion = _upright(picture), _upright(mask)
        _check_mask(lesion, grey, mask)
        marked = np.where(np.isin(lesion, LESION_VALUES), lesion, NO_LESION).astype(np.uint8)
        hu, labels = (np.stack([a] * REPEATS, axis=2) for a in (grey_to_hu(grey), marked))
        affine = np.diag([*[LUNGS_WIDTH_MM / len(grey)] * 2, SLICE_MM, 1.0])
        image, label = (output / kind / f"{case}.nii.gz" for kind in ("images", "labels"))
        write_volume(image, np.rint(hu).astype(np.int16), affine)
        write_mask(label, labels, affine)
        facts = case_facts(hu, labels, affine, LESION_OR_NOT)
        cases.append(Case(case, case, image, label, facts))
        folds[case] = SPLITS.index(split)
    if not cases:
        raise InputError(
            "E_EMPTY", folder, "the folder holds no MedSeg slices.",
            "It must hold train/imgs, train/masks, test/imgs and test/masks.",
        )  # fmt: skip
    datalist = build_datalist(
        cases, about=ABOUT, table=LESION_OR_NOT, lesions=LESION_NAMES, folds=1
    )
    for row in datalist["training"]:
        row["fold"] = folds[row["case"]]
    return datalist


def grey_to_hu(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """HU of a slice in an unknown window, from the peaks of aerated lung and of soft tissue.

    The line through both peaks, where the slice shows both clearly. Sick lungs may have no peak;
    then the usual slope through the soft tissue's peak, or where that is saturated, the usual line.

    Args:
        grey: (X, Y), 0 to 255.

    Returns:
        (X, Y) in about HU; what the window has cut stays at its ends.

    Example:
        >>> grey = np.repeat(np.array([[40, 215]], np.uint8), 50, axis=0)
        >>> grey_to_hu(grey)[0].tolist()
        [-870.0, 40.0]
    """
    counts = np.bincount(grey.ravel(), minlength=256)[: SOFT_TISSUE_GREYS[1]]
    shares = gaussian_filter1d(counts / grey.size, SMOOTHING, mode="constant")
    lung, soft = (low + int(shares[low:high].argmax())
                  for low, high in (LUNG_GREYS, SOFT_TISSUE_GREYS))  # fmt: skip
    between = shares[lung:soft].min()
    usual_slope = (SOFT_TISSUE_HU - LUNG_HU) / (USUAL_SOFT_TISSUE - USUAL_LUNG)
    if shares[lung] > max(CLEAR_SHARE, CLEAR_RISE * between) and _inside(lung, LUNG_GREYS):
        slope = (SOFT_TISSUE_HU - LUNG_HU) / (soft - lung)
    else:
        slope = usual_slope
    if not _inside(soft, SOFT_TISSUE_GREYS):
        slope, soft = usual_slope, round(USUAL_SOFT_TISSUE)
    return SOFT_TISSUE_HU + slope * (grey.astype(np.float64) - soft)


def find_slices(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Split, picture and mask of every slice, in the natural order of names."""
    for split in SPLITS:
        pictures = sorted((folder / split / "imgs").glob("*"), key=lambda p: (len(p.stem), p.stem))
        masks = {mask.stem: mask for mask in (folder / split / "masks").glob("*")}
        for picture in pictures:
            if picture.stem not in masks:
                raise InputError(
                    "E_PATH", picture, "there is no mask of this slice.",
                    "Copy the whole data set into the folder: masks have the name of the picture.",
                )  # fmt: skip
            yield split, picture, masks[picture.stem]


def _upright(path: Path) -> npt.NDArray[np.uint8]:
    """A picture as (X, Y), x to the patient's right and y to the front."""
    try:
        with Picture.open(path) as picture:
            turned = np.asarray(picture.convert("L"))
    except (OSError, ValueError) as error:
        raise InputError(
            "E_FORMAT", path, "it is no picture that can be read.", "Copy it again, as PNG or JPEG."
        ) from error
    return np.ascontiguousarray(np.rot90(turned)[::-1, ::-1].T)


def _check_mask(lesion: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8], path: Path) -> None:
    if lesion.shape != grey.shape:
        raise InputError(
            "E_GEOMETRY", path, f"the mask has {lesion.shape} pixels, its slice {grey.shape}.",
            "Take picture and mask from the same version of the data set.",
        )  # fmt: skip
    odd = sorted(set(np.unique(lesion).tolist()) - set(KNOWN_VALUES))
    if odd:
        raise InputError(
            "E_VALUES", path, f"the mask holds {odd[:5]}; known values are {KNOWN_VALUES}.",
            "Use the masks with several classes, saved without loss.",
        )  # fmt: skip


def _inside(peak: int, greys: tuple[int, int]) -> bool:
    """Whether a peak is one, and not the border of where it was looked for."""
    return greys[0] + 1 < peak < greys[1] - 2
