# SPDX-License-Identifier: Apache-2.0
"""Brain MR slices of lower-grade glioma with masks of the abnormality in FLAIR.

The set of Buda et al. 2019 ("kaggle_3m"): a folder per examination with `<case>_<n>.tif` (red
before contrast, green FLAIR, blue after contrast) and `<case>_<n>_mask.tif`. Copies as JPEG or PNG
are read too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bundle.label_set import shared_labels
from ...errors import InputError
from ...files import write_csv
from ...images import read_image
from ...images.files import children
from ...images.image import Image
from ...images.rle import encode_rle
from ...images.slice_images import (
    SEQUENCES,
    SLICE_SPACING_MM,
    find_slices,
    load_slices,
    mask_beside,
)
from ...images.writing import write_mask, write_volume
from ..datalist import Datalist
from ..volumes import Case, Facts, check_patients, label_facts, list_volumes, volume_source
from . import Look

TUMOUR = 1
LABELS = shared_labels("brain_tumour")
LAYOUT = "The folder must hold <case>/<case>_<n>.tif and <case>/<case>_<n>_mask.tif"
ABOUT = {
    "name": "lgg_mri",
    "description": "brain MR slices (before contrast, FLAIR, after contrast) with FLAIR "
    "abnormality of lower-grade glioma",
    "licence": "CC BY-NC-SA 4.0",
    "reference": "Buda, Saha, Mazurowski 2019, doi 10.1016/j.compbiomed.2019.05.002",
}


@dataclass(frozen=True)
class SliceFacts(Facts):
    """What the slices of one examination hold; ml follow from an assumed spacing.

    Args:
        slices: number of them.
        tumour_slices: those with tumour.
        sequences_equal_to_flair: names of the sequences that are a copy of FLAIR.
    """

    slices: int
    tumour_slices: int
    sequences_equal_to_flair: list[str]


class SliceRow(NamedTuple):
    """A line of `slices.csv`, whose columns are called like these."""

    image: str
    case: str
    slice: int
    has_tumour: int
    tumour_pixels: int
    rows: int
    columns: int
    mask_rle: str


def read(
    folder: Path,
    output: Path,
    *,
    folds: int = 5,
    spacing: tuple[float, float, float] = SLICE_SPACING_MM,
) -> Datalist:
    """Check slices and masks, write each examination as volumes with its mask, draw overview.png.

    Args:
        folder: with one folder per examination.
        output: gets `volumes/<case>/{t1,flair,t1c}.nii.gz`, `labels/<case>.nii.gz`, and
            `slices.csv` with the run lengths of each mask.
        folds: cross-validation folds; examinations of one patient share one.
        spacing: of columns, rows and slices in mm; the pictures do not know theirs.

    Raises:
        InputError: E_EMPTY, no examination found, or fewer patients than folds; E_PATH, a slice has
            no mask; E_DIMS, a mask of another size; and what `load_slices` refuses.
        ValueError: a spacing that is not above 0.
    """
    found = list(find_cases(folder))
    check_patients(folder, [patient_of(case.name) for case in found], folds, layout=LAYOUT)
    cases, rows = [], []
    for source in found:
        pictures = find_slices(source)
        image = load_slices(source, pictures, spacing_mm=spacing)
        mask = np.stack([read_mask(picture, image) for picture in pictures], axis=-1)
        volumes = output / "volumes" / source.name
        for name, channel in zip(SEQUENCES, image.seen, strict=True):
            write_volume(volumes / f"{name}.nii.gz", channel, image.affine)
        label = output / "labels" / f"{source.name}.nii.gz"
        write_mask(label, mask, image.affine)
        facts = slice_facts(image, mask)
        cases.append(Case(source.name, patient_of(source.name), volumes, label, facts))
        rows += slice_rows(folder, pictures, mask)
    write_csv(output / "slices.csv", SliceRow._fields, rows, errors="surrogateescape")
    lesions = [LABELS[TUMOUR].name]
    return list_volumes(
        cases, about=ABOUT, labels=LABELS, lesions=lesions, folds=folds, modality="MR"
    )


def find_cases(folder: Path) -> Iterator[Path]:
    """The examinations' folders, by name: those that hold slice pictures.

    Raises:
        InputError: E_PATH, no such folder.
    """
    for inside in sorted(children(folder)):
        if inside.is_dir() and find_slices(inside):
            yield inside


def patient_of(case: str) -> str:
    """The patient of an examination: TCGA_<site>_<patient>_<date> without its date."""
    head, _, date = case.rpartition("_")
    return head if head and date.isdecimal() else case


def read_mask(picture: Path, image: Image) -> npt.NDArray[np.uint8]:
    """The mask beside a slice picture, (columns, rows), 0 and 1.

    Raises:
        InputError: what `mask_beside` and `read_image` refuse; E_DIMS, it has another size than the
            slices.
    """
    path = mask_beside(picture)
    pixels = read_image(path, "mask").array[:, :, 0]
    if pixels.shape != image.array.shape[:2]:
        reason = (
            f"the mask is {pixels.shape[0]} x {pixels.shape[1]} pixels large, its slice "
            f"{image.array.shape[0]} x {image.array.shape[1]}."
        )
        raise InputError("E_DIMS", path, reason, "Check that the mask belongs to the slice.")
    return pixels


def slice_facts(image: Image, mask: npt.NDArray[np.uint8]) -> SliceFacts:
    """Measure an examination and its mask (columns, rows, slices)."""
    equal = [
        sequence
        for sequence, channel in zip(SEQUENCES, image.seen, strict=True)
        if sequence != "flair" and np.array_equal(channel, image.array)
    ]
    return SliceFacts(
        **vars(label_facts(mask, image.affine, LABELS)),
        slices=mask.shape[-1],
        tumour_slices=int(mask.any((0, 1)).sum()),
        sequences_equal_to_flair=equal,
    )


def slice_rows(
    folder: Path, pictures: Sequence[Path], mask: npt.NDArray[np.uint8]
) -> list[SliceRow]:
    """A row per slice; the masks encoded as Kaggle does, down the columns of the picture.

    Args:
        folder: of the data set; pictures are named relative to it.
        pictures: in the order of the mask's slices.
        mask: (columns, rows, slices).
    """
    rows = []
    for index, picture in enumerate(pictures):
        pixels = mask[:, :, index].T
        count = int(pixels.sum())
        name = picture.relative_to(folder).as_posix()
        height, width = pixels.shape
        case = picture.parent.name
        code = encode_rle(pixels)
        rows.append(SliceRow(name, case, index + 1, int(count > 0), count, height, width, code))
    return rows


def fold_rows(datalist: Datalist) -> list[list[str]]:
    """The facts of the datalist as rows of text under a head: a row a fold, then all together."""
    name = LABELS[TUMOUR].name
    training, known = datalist.parts["training"], datalist.about["facts"]
    folds = sorted({item["fold"] for item in training})
    groups = {str(f): [item for item in training if item["fold"] == f] for f in folds}
    rows = [["fold", "patients", "slices", "with tumour", "tumour pixels"]]
    for fold, items in {**groups, "all": training}.items():
        facts = [known[item["case"]] for item in items]
        patients = len({item["patient"] for item in items})
        slices, marked = (sum(f[key] for f in facts) for key in ("slices", "tumour_slices"))
        pixels = sum(f["voxels"][name] for f in facts)
        rows.append([fold, *map(str, (patients, slices, marked, pixels))])
    return rows


SOURCE = volume_source(
    read,
    writes=("volumes", "labels", "slices.csv"),
    rows=fold_rows,
    look=Look(LABELS, modality="MR"),
)
