# SPDX-License-Identifier: Apache-2.0
"""COVID-19 chest CT volumes of Radiopaedia with lesion and lung masks of MedSeg.

The original is the "covid-segmentation" data of medicalsegmentation.com/covid19. Two layouts are
read: `<case>_ct.nii.gz`, `<case>_lesion.nii.gz`, `<case>_lung.nii.gz` side by side, or the original
folders `rp_im`, `rp_msk` and `rp_lung_msk` with `1.nii.gz` to `9.nii.gz` in each.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...images import read_image
from ...images.checks import check_pair
from ...images.files import children
from ...images.writing import write_mask
from ..datalist import Datalist
from ..lung_lesions import LABELS, LESION_NAMES, LESION_VALUES, merge_labels
from ..volumes import Case, check_patients, ct_facts, list_volumes, volume_source
from . import Look

# Volumes of one person; apart they would put the same lesions into training and validation. rp2
# and rp3 are two reconstructions of one scan; rp6 and rp7 look alike in anatomy and are counted
# as one person to be on the safe side.
SAME_PATIENT = (("rp2", "rp3"), ("rp6", "rp7"))
KNOWN_LESIONS = (0, 1, 2, 3)  # none, ground-glass, consolidation, pleural effusion
KNOWN_LUNGS = (0, 1, 2)  # none, lung; or right and left lung as in the original masks
LAYOUT = (
    "The folder must hold <case>_ct.nii.gz, <case>_lesion.nii.gz and <case>_lung.nii.gz, or rp_im, "
    "rp_msk and rp_lung_msk"
)
ABOUT = {
    "name": "radiopaedia_covid_ct",
    "description": "COVID-19 chest CT volumes with ground-glass opacity, consolidation and lung",
    "licence": "non-commercial, attribution: Radiopaedia.org contributors and MedSeg",
    "reference": "https://medicalsegmentation.com/covid19/",
}


class CaseFiles(NamedTuple):
    """The three files of a case."""

    case: str
    ct: Path
    lesion: Path
    lung: Path


def read(folder: Path, output: Path, *, folds: int = 4) -> Datalist:
    """Check CTs and masks, write merged label maps, print what they hold, draw overview.png.

    Args:
        folder: the data set in one of the two layouts of this module.
        output: gets `labels/<case>_label.nii.gz`: 0 background, 1 ground-glass opacity,
            2 consolidation, 3 the rest of the lung; pleural effusion is background.
        folds: cross-validation folds; volumes of one patient share one.

    Raises:
        InputError: E_EMPTY no case found, or fewer patients than folds; E_PATH a mask is missing;
            E_GEOMETRY a mask lies on another grid than its CT; E_VALUES a mask has other values.
    """
    found = list(find_cases(folder))
    check_patients(folder, [patient_of(files.case) for files in found], folds, layout=LAYOUT)
    cases = []
    for files in found:
        ct = read_image(files.ct)
        lesion, lung = read_image(files.lesion, "mask"), read_image(files.lung, "mask")
        check_pair(ct, lesion, values=KNOWN_LESIONS)
        check_pair(ct, lung, values=KNOWN_LUNGS)
        labels = merge_labels(lesion.array, lung.array)
        label = output / "labels" / f"{files.case}_label.nii.gz"
        write_mask(label, labels, ct.affine)
        facts = ct_facts(ct.array, labels, ct.affine, LABELS)
        cases.append(Case(files.case, patient_of(files.case), files.ct, label, facts))
    return list_volumes(cases, about=ABOUT, labels=LABELS, lesions=LESION_NAMES, folds=folds)


def patient_of(case: str) -> str:
    """The patient of a case: its own name, or the joined names of `SAME_PATIENT`."""
    return next(("+".join(pair) for pair in SAME_PATIENT if case in pair), case)


def find_cases(folder: Path) -> Iterator[CaseFiles]:
    """The files of each case in either layout, sorted by name."""
    if (folder / "rp_im").is_dir():
        for ct in ending_with(folder / "rp_im", ".nii.gz"):
            case = "rp" + ct.name.removesuffix(".nii.gz")
            yield CaseFiles(case, ct, folder / "rp_msk" / ct.name, folder / "rp_lung_msk" / ct.name)
    yield from side_by_side(folder)


def side_by_side(folder: Path) -> Iterator[CaseFiles]:
    """The files of each case that lie in one folder, sorted by name."""
    for ct in ending_with(folder, "_ct.nii.gz"):
        case = ct.name.removesuffix("_ct.nii.gz")
        lesion, lung = (folder / f"{case}_{kind}.nii.gz" for kind in ("lesion", "lung"))
        yield CaseFiles(case, ct, lesion, lung)


def ending_with(folder: Path, ending: str) -> list[Path]:
    """The files of a folder whose names end so, sorted."""
    return sorted(path for path in children(folder) if path.name.endswith(ending))


SOURCE = volume_source(read, writes=("labels",), look=Look(LABELS, focus=LESION_VALUES))
