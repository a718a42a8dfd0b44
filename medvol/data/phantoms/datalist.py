# SPDX-License-Identifier: Apache-2.0
"""A folder of chest CT phantoms with their label maps, as a datalist."""

from pathlib import Path

from ...images.writing import write_mask, write_volume
from ..cases import Case, build_datalist, case_facts
from ..datalist import Datalist
from ..lung_lesions import LABELS, LESION_NAMES
from .chest import chest_ct_phantom

MAX_FOLDS = 4
ABOUT = {
    "name": "chest_ct_phantom",
    "description": "Made chest CTs with ground-glass opacity, consolidation and lung",
    "licence": "Apache-2.0; no patient is in them",
    "reference": "medvol data phantom",
}


def phantom_datalist(
    folder: Path,
    *,
    count: int = 4,
    seed: int = 0,
    lesions: int | None = None,
    spacing_mm: tuple[float, float, float] = (1.6, 1.6, 4.0),
    orientation: str = "LPS",
) -> Datalist:
    """Write `<case>_ct.nii.gz` and `<case>_label.nii.gz` of several phantoms and list them.

    Args:
        folder: to write into.
        count: how many; each is another person and gets a fold in turn, up to 4 folds.
        seed: of the first; the next ones follow.
        lesions, spacing_mm, orientation: as for `chest_ct_phantom`.

    Returns:
        The datalist of `cases.build_datalist`.

    Raises:
        ValueError: a setting makes no phantom.
        InputError: E_NOSPACE, a file cannot be written.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count is {count}, seed is {seed}; give 1 or more, and 0 or more")
    cases = []
    for number in range(seed, seed + count):
        made = chest_ct_phantom(
            spacing_mm=spacing_mm, orientation=orientation, seed=number, lesions=lesions
        )
        case = f"phantom_{number:03d}"
        image, label = folder / f"{case}_ct.nii.gz", folder / f"{case}_label.nii.gz"
        write_volume(image, made.ct, made.affine)
        write_mask(label, made.labels, made.affine)
        facts = case_facts(made.ct, made.labels, made.affine, LABELS)
        cases.append(Case(case, case, image, label, facts))
    folds = min(MAX_FOLDS, count)
    return build_datalist(cases, about=ABOUT, table=LABELS, lesions=LESION_NAMES, folds=folds)
