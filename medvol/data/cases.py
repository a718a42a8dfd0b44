# SPDX-License-Identifier: Apache-2.0
"""Labelled volumes on the way to a datalist: facts of each, patient-grouped folds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..labels import LabelTable
from ..spatial import Affine, orientation, spacing_mm, voxel_volume_ml
from .datalist import Datalist


class Group(NamedTuple):
    """Volumes that must share a fold, as those of one patient: name, how many, lesion in ml."""

    name: str
    volumes: int
    lesion_ml: float


def assign_folds(groups: Iterable[Group], n_folds: int) -> dict[str, int]:
    """Spread groups over cross-validation folds, evenly in volumes and then in lesion.

    The groups are taken by falling lesion volume (then by name); each goes into the fold that has
    the fewest volumes so far, among these the one with the least lesion, then the lowest number.

    Returns:
        Fold, 0 to `n_folds` - 1, by name of the group.

    Raises:
        ValueError: fewer groups than folds, which would leave a fold empty.

    Example:
        >>> assign_folds([Group("a", 1, 9.0), Group("b", 1, 5.0), Group("c", 2, 1.0)], 2)
        {'a': 0, 'b': 1, 'c': 1}
    """
    ordered = sorted(groups, key=lambda group: (-group.lesion_ml, group.name))
    if not 1 <= n_folds <= len(ordered):
        raise ValueError(
            f"n_folds is {n_folds} but there are {len(ordered)} patients; "
            f"give a number from 1 to {len(ordered)}"
        )
    volumes, lesion = [0] * n_folds, [0.0] * n_folds
    folds = {}
    for group in ordered:
        fold = min(range(n_folds), key=lambda f: (volumes[f], lesion[f], f))
        volumes[fold] += group.volumes
        lesion[fold] += group.lesion_ml
        folds[group.name] = fold
    return folds


@dataclass(frozen=True)
class CaseFacts:
    """What a labelled CT holds: grid, HU, and voxels and ml by name of the label."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    hu_mean: float
    hu_std: float
    voxels: dict[str, int]
    ml: dict[str, float]


class Facts(Protocol):
    """Facts of a case, a dataclass of any kind; folds are spread by its ml."""

    @property
    def ml(self) -> dict[str, float]: ...


def case_facts(
    ct: npt.NDArray[Any], labels: npt.NDArray[Any], affine: Affine, table: LabelTable
) -> CaseFacts:
    """Measure a CT (X, Y, Z) in HU and its label map of the same shape."""
    voxels = {label.name: int((labels == label.value).sum()) for label in table}
    nx, ny, nz = ct.shape
    return CaseFacts(
        shape=(nx, ny, nz),
        spacing_mm=spacing_mm(affine),
        orientation=orientation(affine),
        hu_mean=float(ct.mean(dtype=np.float64)),
        hu_std=float(ct.std(dtype=np.float64)),
        voxels=voxels,
        ml={name: count * voxel_volume_ml(affine) for name, count in voxels.items()},
    )


def pooled_hu(facts: Iterable[CaseFacts]) -> tuple[float, float]:
    """HU mean and standard deviation over all voxels of several cases."""
    rows = np.array([(np.prod(f.shape), f.hu_mean, f.hu_std) for f in facts], dtype=np.float64)
    weight = rows[:, 0] / rows[:, 0].sum()
    mean = float(weight @ rows[:, 1])
    return mean, float(np.sqrt(weight @ (rows[:, 2] ** 2 + rows[:, 1] ** 2) - mean**2))


@dataclass(frozen=True)
class Case:
    """One training pair; `patient` is what cases of the same person share."""

    case: str
    patient: str
    image: Path
    label: Path
    facts: Facts


def build_datalist(
    cases: Sequence[Case],
    *,
    about: Mapping[str, str],
    table: LabelTable,
    lesions: Sequence[str],
    folds: int,
    modality: str = "CT",
) -> Datalist:
    """Gather cases into a datalist with patient-grouped folds.

    Args:
        cases: the training pairs.
        about: name, description, licence, reference.
        table: labels of the masks.
        lesions: names of the labels whose volume spreads the patients over the folds.
        folds: how many; see `assign_folds`.
        modality: of the images.

    Returns:
        The datalist. Besides MONAI's keys it holds `facts` by case: for CT shape, spacing, HU,
        voxels and ml per label.

    Raises:
        ValueError: fewer patients than folds.
    """
    volumes = Counter(c.patient for c in cases)
    lesion_ml = dict.fromkeys(volumes, 0.0)
    for c in cases:
        lesion_ml[c.patient] += sum(c.facts.ml[name] for name in lesions)
    fold = assign_folds([Group(p, volumes[p], lesion_ml[p]) for p in volumes], folds)
    content = {
        **about,
        "labels": {"0": "background", **{str(label.value): label.name for label in table}},
        "modality": {"0": modality},
        "numTraining": len(cases),
        "training": [
            {
                "image": str(c.image.resolve()),
                "label": str(c.label.resolve()),
                "case": c.case,
                "patient": c.patient,
                "fold": fold[c.patient],
            }
            for c in cases
        ],
        "facts": {c.case: dict(vars(c.facts)) for c in cases},
    }
    return Datalist(content)
