# SPDX-License-Identifier: Apache-2.0
"""Made chest CTs with known lesions."""

from dataclasses import replace
from pathlib import Path

from ...images.writing import write_mask, write_volume
from ..datalist import Datalist
from ..lung_lesions import LABELS, LESION_NAMES
from ..phantoms.chest import chest_ct_phantom
from ..volumes import Case, ct_facts, list_volumes, volume_source

MAX_FOLDS = 4
ABOUT = {
    "name": "chest_ct_phantom",
    "description": "Made chest CTs with ground-glass opacity, consolidation and lung",
    "licence": "Apache-2.0; no patient is in them",
    "reference": "medvol data phantom",
}


def read(
    output: Path,
    *,
    count: int = 4,
    seed: int = 0,
    lesions: int | None = None,
    spacing: tuple[float, float, float] = (1.6, 1.6, 4.0),
    orientation: str = "LPS",
) -> Datalist:
    """Make chest CT phantoms, `<case>_ct.nii.gz`, with their label maps, `<case>_label.nii.gz`.

    Args:
        output: folder to write into.
        count: how many persons; they get a fold in turn, up to 4 folds.
        seed: of the first; the next ones follow.
        lesions: how many in each, 0 for none; left out, 3 to 9.
        spacing: voxel size along right-left, front-back and foot-head, in mm.
        orientation: axis codes, such as RAS.

    Raises:
        ValueError: a setting makes no phantom.
        InputError: E_NOSPACE, a file cannot be written.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count is {count}, seed is {seed}; give 1 or more, and 0 or more")
    cases = []
    for number in range(seed, seed + count):
        made = chest_ct_phantom(
            spacing_mm=spacing, orientation=orientation, seed=number, lesions=lesions
        )
        case = f"phantom_{number:03d}"
        image, label = output / f"{case}_ct.nii.gz", output / f"{case}_label.nii.gz"
        write_volume(image, made.ct, made.affine)
        write_mask(label, made.labels, made.affine)
        facts = ct_facts(made.ct, made.labels, made.affine, LABELS)
        cases.append(Case(case, case, image, label, facts))
    folds = min(MAX_FOLDS, count)
    return list_volumes(cases, about=ABOUT, labels=LABELS, lesions=LESION_NAMES, folds=folds)


SOURCE = replace(volume_source(read), file="datalist.json")
