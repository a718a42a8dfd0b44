# SPDX-License-Identifier: Apache-2.0
"""Single COVID-19 chest CT slices of MedSeg with lesion masks, 50 for training, 48 for tests.

Axial slices of more than 40 patients, as grey pictures cropped to the lungs (the COVID-SemiSeg
version of Fan et al. 2020), each made a volume. Two layouts are read: `train/imgs`, `train/masks`,
`test/imgs`, `test/masks`, or the published folders `TrainingSet/MultiClassInfection-Train` and
`TestingSet/MultiClassInfection-Test` with `Imgs` and `GT` in each.

The window of the pictures is not known. A lung window maps HU to grey on a line, and two tissues
give two points of it. Soft tissue is the highest peak of the bright half of the histogram; muscle
and blood make it. The dark end of the lungs is a low percentile of all that is darker than soft
tissue: air in airways and healthy lung. A peak of aerated lung would do for healthy slices only;
where all lung is hazy, the peak is haze.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from ...errors import InputError
from ...images.files import children
from ...images.picture import opened_picture, upright
from ...images.writing import write_mask, write_volume
from ...labels import Label, LabelTable
from ...spatial import Affine
from ..datalist import Datalist
from ..lung_lesions import LABELS, LESION_NAMES, LESION_VALUES, NO_LESION, PARTLY
from ..volumes import Case, ct_facts, list_volumes, volume_source
from . import Look

SOFT_TISSUE_HU = 40.0  # muscle and blood without contrast medium
DARK_HU = -930.0  # median over twelve chest CTs of that percentile of the lungs' own bounding box
DARK_PERCENTILE = 3.0
DARKEST, BRIGHTEST = 3, 252  # greys beyond are borders, letters, and what the window cut off
SOFT_TISSUE_FROM = 150  # darker greys are lung and haze in every lung window
LUNG_BELOW_SOFT_TISSUE = 60  # greys, about 300 HU: fat is between
SMOOTHING = 3.0  # greys, standard deviation
LUNG_BOX_MM = (275.0, 240.0)  # right to left: median of twelve CTs; front to back: their largest

FOLDS = {"train": 0, "test": 1}
LAYOUTS = {
    "train": (("train/imgs", "train/masks"),
              ("TrainingSet/MultiClassInfection-Train/Imgs",
               "TrainingSet/MultiClassInfection-Train/GT")),
    "test": (("test/imgs", "test/masks"),
             ("TestingSet/MultiClassInfection-Test/Imgs",
              "TestingSet/MultiClassInfection-Test/GT")),
}  # fmt: skip
# the published masks have the first colours of Pascal VOC: dark red, dark green
LESION_OF_GREY = {0: 0, 1: 1, 2: 2, 3: 0, 38: 1, 75: 2}  # 3 is pleural effusion
FRAME_MM = 10.0  # of soft tissue, for the chest wall that was cropped away
SLICES, SLICE_SPACING_MM = 2, 5.0  # a volume has at least two slices; so each is its own neighbour
DRAWN = LabelTable(tuple(LABELS[value] for value in LESION_VALUES))
LISTED = LabelTable((*DRAWN, Label(NO_LESION, "background or lung", (128, 128, 128))))
ABOUT = {
    "name": "medseg_covid_ct_slices",
    "description": "axial COVID-19 CT slices with ground-glass opacity and consolidation; fold 0 "
    "are the published training slices, fold 1 the test slices",
    "licence": "non-commercial, attribution: MedSeg, Fan et al. 2020 (COVID-SemiSeg)",
    "partly": PARTLY,
    "reference": "https://medicalsegmentation.com/covid19/, doi 10.1109/TMI.2020.2996645",
}


class SliceFiles(NamedTuple):
    """Picture and mask of a slice: train or test, and its number."""

    split: str
    name: str
    image: Path
    mask: Path


def read(folder: Path, output: Path, *, spacing: float | None = None) -> Datalist:
    """Check the slices, write each as a CT volume with its label map, draw overview.png.

    A volume holds its slice twice, framed by `FRAME_MM` of soft tissue. HU are approximate. Whether
    a pixel without lesion is lung or not was not drawn: it is `NO_LESION`.

    Args:
        folder: the data set in one of the two layouts of this module.
        output: gets `images/<case>_ct.nii.gz` and `labels/<case>_label.nii.gz`.
        spacing: pixel size in mm, which the pictures do not know; left out, each slice has the
            size of typical lungs.

    Returns:
        The datalist, in which fold 1 holds out the test slices; facts count a slice once.

    Raises:
        InputError: E_EMPTY no slices found; E_PATH a mask is missing; E_FORMAT not a picture;
            E_GEOMETRY a mask of another size; E_VALUES a mask with other values, or no lung.
        ValueError: a spacing that is not above 0.
    """
    if spacing is not None and spacing <= 0:
        raise ValueError(f"spacing is {spacing}; give more than 0 mm")
    found = list(find_slices(folder))
    if not found:
        raise InputError(
            "E_EMPTY", folder, "it holds no slices.",
            "The folder must hold train/imgs, train/masks, test/imgs and test/masks, or TrainingSet"
            " and TestingSet of COVID-SemiSeg.",
        )  # fmt: skip
    cases = []
    for files in found:
        grey, lesion = read_grey(files.image), read_lesion(files.mask)
        if grey.shape != lesion.shape:
            reason = f"the mask has {lesion.shape} pixels, its picture {grey.shape}."
            remedy = "Take picture and mask from the same copy of the data set."
            raise InputError("E_GEOMETRY", files.mask, reason, remedy)
        spacing_mm = spacing or lung_box_spacing_mm(*grey.shape)
        ct, label, affine = framed(_hu(grey, files.image), lesion, spacing_mm)
        case = f"medseg_{files.name}"
        image_path = output / "images" / f"{case}_ct.nii.gz"
        label_path = output / "labels" / f"{case}_label.nii.gz"
        write_volume(image_path, np.repeat(ct, SLICES, axis=2), affine)
        write_mask(label_path, np.repeat(label, SLICES, axis=2), affine)
        facts, fold = ct_facts(ct, label, affine, DRAWN), FOLDS[files.split]
        cases.append(Case(case, case, image_path, label_path, facts, fold))
    return list_volumes(cases, about=ABOUT, labels=LISTED, lesions=LESION_NAMES)


def find_slices(folder: Path) -> Iterator[SliceFiles]:
    """Picture and mask of each slice, training slices first, by number."""
    for split, layouts in LAYOUTS.items():
        for images, masks in layouts:
            inside = children(folder / images) if (folder / images).is_dir() else []
            pictures = [path for path in inside if path.suffix.lower() in (".jpg", ".png")]
            for image in sorted(pictures, key=lambda path: (len(path.stem), path.stem)):
                yield SliceFiles(split, image.stem, image, folder / masks / f"{image.stem}.png")


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """A picture with the patient's right first and the front first: (X, Y), 0 to 255.

    The pictures stand as the arrays of their NIfTI original: rows run from right to left, columns
    from front to back. On a screen that is the patient turned by 90 degrees and mirrored.
    """
    with opened_picture(path) as picture:
        return np.asarray(upright(picture)[0].convert("L"))


def read_lesion(path: Path) -> npt.NDArray[np.uint8]:
    """A mask (X, Y): 1 ground-glass opacity, 2 consolidation, `NO_LESION` elsewhere.

    Raises:
        InputError: E_VALUES, it has other values; and what `read_grey` refuses.
    """
    grey = read_grey(path)
    odd = sorted(set(np.unique(grey).tolist()) - set(LESION_OF_GREY))
    if odd:
        raise InputError(
            "E_VALUES", path,
            f"the mask holds {', '.join(map(str, odd[:5]))}; known values are "
            f"{', '.join(map(str, LESION_OF_GREY))}.",
            "Check that the file is the mask of two classes, not that of one.",
        )  # fmt: skip
    table = np.full(256, NO_LESION, dtype=np.uint8)
    for value, lesion in LESION_OF_GREY.items():
        table[value] = lesion or NO_LESION
    labels: npt.NDArray[np.uint8] = table[grey]
    return labels


def soft_tissue_grey(grey: npt.NDArray[np.uint8]) -> int:
    """The grey of muscle and blood in a picture of any shape, 0 to 255.

    It is the highest peak of the smoothed histogram from 150 on; 252 where the window cuts soft
    tissue off.
    """
    inner = grey[(grey >= DARKEST) & (grey <= BRIGHTEST)]
    counts = np.bincount(inner, minlength=BRIGHTEST + 1).astype(np.float64)
    smooth = gaussian_filter1d(counts, SMOOTHING, mode="nearest")
    return SOFT_TISSUE_FROM + int(smooth[SOFT_TISSUE_FROM:].argmax())


def grey_to_hu(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Approximate HU of a chest slice in a lung window, of any shape, from grey of 0 to 255.

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
    """Pixel size of a slice that was cropped to the lungs, so that it fits into `LUNG_BOX_MM`.

    Args:
        width: pixels from right to left.
        depth: pixels from front to back.

    Example:
        >>> lung_box_spacing_mm(275, 200)
        1.0
    """
    return min(LUNG_BOX_MM[0] / width, LUNG_BOX_MM[1] / depth)


def framed(
    hu: npt.NDArray[np.int16], label: npt.NDArray[np.uint8], spacing_mm: float
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], Affine]:
    """The `hu` and `label` (X, Y) of a slice of `spacing_mm` in a frame of soft tissue.

    The frame is background. Without it the lungs touch the border, as the air around a patient
    does.

    Returns:
        CT (X, Y, 1), label (X, Y, 1), affine (LPS, mm).
    """
    width = round(FRAME_MM / spacing_mm)
    ct = np.pad(hu, width, constant_values=int(SOFT_TISSUE_HU))[..., None]
    marked = np.pad(label, width, constant_values=0)[..., None]
    return ct, marked, np.diag([-spacing_mm, -spacing_mm, SLICE_SPACING_MM, 1.0])


def _hu(grey: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[np.int16]:
    try:
        return grey_to_hu(grey)
    except ValueError as error:
        raise InputError(
            "E_VALUES", path, f"{error}.", "Give axial chest CT in a lung window."
        ) from error


SOURCE = volume_source(read, writes=("images", "labels"), look=Look(DRAWN))
