# SPDX-License-Identifier: Apache-2.0
"""COVID-19 chest CT volumes of the 20-case set, with one class of lesion and lung masks.

Ma et al. published twenty CTs with masks of infection and lung. Ten of them, `coronacases_001` to
`_010`, are in HU. Ten are volumes of Radiopaedia in a lung window; most of them are in the set of
`radiopaedia` too, so that `radiopaedia_14_85914_0` alone is read of these. Two layouts are read:
`<case>_ct.nii.gz`, `<case>_lesion.nii.gz`, `<case>_lung.nii.gz` side by side, perhaps with a
`slices.csv` that says on which slices the lung is known; or the published folders
`COVID-19-CT-Seg_20cases`, `Infection_Mask` and `Lung_Mask` with `<case>.nii.gz` in each.

Ground-glass opacity and consolidation are one class there. They are told apart by how dense the
lesion is around a voxel, see `lung_lesions.lesion_classes`: figures of the two are not measured
against what somebody has drawn, those of the lesion as a whole are.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import read_csv
from ...images import read_image
from ...images.checks import check_pair
from ...images.image import Image
from ...images.writing import write_mask, write_volume
from ...labels import Label, LabelTable
from ...spatial import spacing_mm
from ..datalist import Datalist
from ..lung_lesions import (
    LABELS,
    LESION_NAMES,
    LESION_VALUES,
    NO_LESION,
    PARTLY,
    lesion_classes,
    merge_labels,
)
from ..volumes import Case, check_patients, ct_facts, list_volumes, volume_source
from . import Look
from .radiopaedia import CaseFiles, ending_with, side_by_side

# of the ten Radiopaedia volumes of the set, the one whose patient is not in that of `radiopaedia`
ONLY_HERE = "radiopaedia_14_85914_0"
WINDOW_HU = (-1250.0, 250.0)  # of the Radiopaedia volumes, which map it to 0 to 255 (Ma et al.)
BRIGHTEST = 255
KNOWN_LESIONS = (0, 1)
KNOWN_LUNGS = (0, 1, 2)  # none, lung; or left and right lung as published
SLICES = "slices.csv"
PUBLISHED = ("COVID-19-CT-Seg_20cases", "Infection_Mask", "Lung_Mask")
LAYOUT = (
    "The folder must hold <case>_ct.nii.gz, <case>_lesion.nii.gz and <case>_lung.nii.gz, or "
    f"{PUBLISHED[0]}, {PUBLISHED[1]} and {PUBLISHED[2]}"
)
LISTED = LabelTable((*LABELS, Label(NO_LESION, "background or lung", (128, 128, 128))))
ABOUT = {
    "name": "coronacases_covid_ct",
    "description": "COVID-19 chest CT volumes with lesion and lung; ground-glass opacity and "
    "consolidation are told apart by their density, not by hand",
    "licence": "non-commercial, attribution: coronacases.org, Radiopaedia.org contributors and Ma "
    "et al.",
    "partly": PARTLY,
    "reference": "https://zenodo.org/records/3757476, doi 10.1002/mp.14676",
}


def read(folder: Path, output: Path, *, folds: int = 4) -> Datalist:
    """Check CTs and masks, write label maps, print what they hold, draw overview.png.

    Args:
        folder: the data set in one of the two layouts of this module.
        output: gets `labels/<case>_label.nii.gz`: 0 background, 1 ground-glass opacity,
            2 consolidation, 3 the rest of the lung, 4 no lesion where the lung is not known; and
            `images/<case>_ct.nii.gz` in HU of a volume that is in a window.
        folds: cross-validation folds.

    Raises:
        InputError: E_EMPTY no case found, or fewer patients than folds; E_PATH a mask is missing;
            E_GEOMETRY a mask lies on another grid than its CT, or `slices.csv` counts other slices;
            E_VALUES a mask has other values.
    """
    found = list(find_cases(folder))
    check_patients(folder, [files.case for files in found], folds, layout=LAYOUT)
    known = known_slices(folder / SLICES)
    cases = []
    for files in found:
        ct = read_image(files.ct)
        lesion, lung = read_image(files.lesion, "mask"), read_image(files.lung, "mask")
        check_pair(ct, lesion, values=KNOWN_LESIONS)
        check_pair(ct, lung, values=KNOWN_LUNGS)
        hu, path = ct.array, files.ct
        if (in_hu := _from_window(ct)) is not None:
            hu, path = in_hu, output / "images" / f"{files.case}_ct.nii.gz"
            write_volume(path, in_hu, ct.affine)
        classes = lesion_classes(hu, lesion.array, spacing_mm(ct.affine))
        labels = merge_labels(classes, lung.array)
        if files.case in known:
            labels = _partly(labels, known[files.case], folder / SLICES, case=files.case)
        label = output / "labels" / f"{files.case}_label.nii.gz"
        write_mask(label, labels, ct.affine)
        facts = ct_facts(hu, labels, ct.affine, LABELS)
        cases.append(Case(files.case, files.case, path, label, facts))
    return list_volumes(cases, about=ABOUT, labels=LISTED, lesions=LESION_NAMES, folds=folds)


def find_cases(folder: Path) -> Iterator[CaseFiles]:
    """The files of each case in either layout, sorted by name."""
    images, lesions, lungs = (folder / name for name in PUBLISHED)
    if images.is_dir():
        for ct in ending_with(images, ".nii.gz"):
            case = ct.name.removesuffix(".nii.gz")
            if not case.startswith("radiopaedia") or case == ONLY_HERE:
                yield CaseFiles(case, ct, lesions / ct.name, lungs / ct.name)
    yield from side_by_side(folder)


def known_slices(path: Path) -> dict[str, npt.NDArray[np.bool_]]:
    """For each case whether the lung is known, (Z,) by slice; none where there is no such file.

    Args:
        path: of a table with the columns case, slice (from 0) and lung_known (0 or 1).

    Raises:
        InputError: E_FORMAT, it has no such columns, or lacks slices.
    """
    if not path.is_file():
        return {}
    known: dict[str, dict[int, bool]] = {}
    try:
        for row in read_csv(path):
            known.setdefault(row["case"], {})[int(row["slice"])] = row["lung_known"] == "1"
    except (KeyError, ValueError) as error:
        raise InputError(
            "E_FORMAT", path, f"it has no columns case, slice and lung_known in numbers ({error}).",
            "Take it away, where the lung is known on all slices.",
        ) from None  # fmt: skip
    for case, own in known.items():
        if sorted(own) != [*range(len(own))]:
            reason = f"the slices of {case} are not counted from 0, each once."
            raise InputError("E_FORMAT", path, reason, "Take the table of the same copy.")
    return {case: np.array([own[z] for z in sorted(own)], bool) for case, own in known.items()}


def _partly(
    labels: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], path: Path, *, case: str
) -> npt.NDArray[np.uint8]:
    """A label map (X, Y, Z) with `NO_LESION` for what is no lesion on slices of unknown lung."""
    if labels.shape[2] != len(known):
        reason = f"{case} has {labels.shape[2]} slices, of which it counts {len(known)}."
        raise InputError("E_GEOMETRY", path, reason, "Take both from the same copy.")
    lesion = np.isin(labels, LESION_VALUES)
    return np.where(known | lesion, labels, np.uint8(NO_LESION))


def _from_window(ct: Image) -> npt.NDArray[np.int16] | None:
    """HU (X, Y, Z) of a volume that is in a lung window; None for one in HU."""
    low, high = int(ct.array.min()), int(ct.array.max())
    if low < 0 or high > BRIGHTEST:
        return None
    slope = (WINDOW_HU[1] - WINDOW_HU[0]) / BRIGHTEST
    return np.rint(WINDOW_HU[0] + ct.array.astype(np.float32) * slope).astype(np.int16)


SOURCE = volume_source(read, writes=("labels",), look=Look(LABELS, focus=LESION_VALUES))
