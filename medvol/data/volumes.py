# SPDX-License-Identifier: Apache-2.0
"""Volumes with label maps on the way to a datalist: facts of each, folds, the table of all."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..labels import LabelTable
from ..owned import filling
from ..spatial import Affine, orientation, spacing_mm, voxel_volume_ml
from ..text import counted
from .datalist import Datalist
from .sources import Look, Rows, Source, options_of, summary
from .split import Group, assign_folds


@dataclass(frozen=True)
class Facts:
    """What a label map holds.

    Args:
        shape: voxels along each axis.
        spacing_mm: along the same axes.
        orientation: axis codes, such as "LPS".
        voxels: number by name of the label.
        ml: volume by name of the label.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    orientation: str
    voxels: dict[str, int]
    ml: dict[str, float]


@dataclass(frozen=True)
class CtFacts(Facts):
    """What a CT and its label map hold.

    Args:
        hu_mean: HU over the whole volume.
        hu_std: standard deviation, in HU.
    """

    hu_mean: float
    hu_std: float


@dataclass(frozen=True)
class Case:
    """An image with its label map.

    Args:
        case: name, different from every other case's.
        patient: what cases of the same person share.
        image: file, or folder of MR sequences.
        label: file of the label map.
        facts: of the label map, and more.
        fold: where the data set decides it; None to spread the cases over folds.
    """

    case: str
    patient: str
    image: Path
    label: Path
    facts: Facts
    fold: int | None = None


def label_facts(labels: npt.NDArray[Any], affine: Affine, table: LabelTable) -> Facts:
    """Measure a label map (X, Y, Z) whose labels `table` names; `affine` leads to RAS mm."""
    voxels = {label.name: int((labels == label.value).sum()) for label in table}
    return Facts(
        shape=labels.shape,
        spacing_mm=spacing_mm(affine),
        orientation=orientation(affine),
        voxels=voxels,
        ml={name: count * voxel_volume_ml(affine) for name, count in voxels.items()},
    )


def ct_facts(
    ct: npt.NDArray[Any], labels: npt.NDArray[Any], affine: Affine, table: LabelTable
) -> CtFacts:
    """Measure a `ct` in HU and its `labels`, (X, Y, Z) both; `affine`, `table` as `label_facts`."""
    mean, std = float(ct.mean(dtype=np.float64)), float(ct.std(dtype=np.float64))
    return CtFacts(**vars(label_facts(labels, affine, table)), hu_mean=mean, hu_std=std)


def pooled_hu(facts: Iterable[CtFacts]) -> tuple[float, float]:
    """Mean and standard deviation in HU over all voxels of several cases."""
    rows = np.array([(np.prod(f.shape), f.hu_mean, f.hu_std) for f in facts], dtype=np.float64)
    weight = rows[:, 0] / rows[:, 0].sum()
    mean = float(weight @ rows[:, 1])
    return mean, float(np.sqrt(weight @ (rows[:, 2] ** 2 + rows[:, 1] ** 2) - mean**2))


def check_patients(folder: Path, patients: Sequence[str], folds: int, *, layout: str) -> None:
    """Refuse a data set with too few patients before anything is written.

    Args:
        folder: of the data set.
        patients: of each case.
        folds: of the cross-validation.
        layout: what the folder must hold, a sentence without its end.

    Raises:
        InputError: E_EMPTY, fewer patients than folds.
    """
    number = len(set(patients))
    if number < folds:
        reason = f"{len(patients)} cases of {number} patients are too few for {folds} folds."
        raise InputError("E_EMPTY", folder, reason, f"{layout}; or ask for fewer folds.")


def list_volumes(
    cases: Sequence[Case],
    *,
    about: Mapping[str, Any],
    labels: LabelTable,
    lesions: Sequence[str],
    folds: int = 1,
    modality: str = "CT",
) -> Datalist:
    """Gather cases into a datalist; those without a fold are spread over folds by patient.

    Args:
        cases: at least one.
        about: name, description, licence, reference; perhaps `partly` of `Datalist`.
        labels: of the label maps.
        lesions: names of the labels whose volume spreads the patients over the folds.
        folds: how many; see `assign_folds`.
        modality: of the images.

    Returns:
        The datalist, which holds `facts` by case beside MONAI's keys.

    Raises:
        InputError: E_LABELS, none of the label maps has foreground.
        ValueError: fewer patients than folds.
    """
    if not any(number for case in cases for number in case.facts.voxels.values()):
        reason = f"none of its {counted(len(cases), 'label map')} has foreground."
        remedy = "Check the values of the masks, and whether they are the masks of these images."
        raise InputError("E_LABELS", cases[0].label.parent, reason, remedy)
    volumes = Counter(c.patient for c in cases)
    lesion_ml = dict.fromkeys(volumes, 0.0)
    for c in cases:
        lesion_ml[c.patient] += sum(c.facts.ml[name] for name in lesions)
    fold = assign_folds([Group(p, volumes[p], lesion_ml[p]) for p in volumes], folds)
    content = {
        **about,
        "labels": {"0": "background", **{str(label.value): label.name for label in labels}},
        "modality": {"0": modality},
        "numTraining": len(cases),
        "training": [
            {
                "image": str(c.image.resolve()),
                "label": str(c.label.resolve()),
                "case": c.case,
                "patient": c.patient,
                "fold": fold[c.patient] if c.fold is None else c.fold,
            }
            for c in cases
        ],
        "facts": {c.case: dict(vars(c.facts)) for c in cases},
    }
    return Datalist(content)


def ct_rows(datalist: Datalist) -> list[list[str]]:
    """The facts of CTs as rows of text under a head: a row a case, then all together."""
    facts = {case: CtFacts(**given) for case, given in datalist.about["facts"].items()}
    names = list(next(iter(facts.values())).voxels)
    head = ["case", "fold", "shape", "spacing mm", "axes", "HU mean", "HU std"]
    rows = [[*head, *(f"{name}: voxels (ml)" for name in names)]]
    for item in datalist.parts["training"]:
        own = facts[item["case"]]
        rows.append(
            [
                item["case"],
                str(item["fold"]),
                "x".join(map(str, own.shape)),
                "x".join(f"{mm:.4g}" for mm in own.spacing_mm),
                own.orientation,
                f"{own.hu_mean:.2f}",
                f"{own.hu_std:.2f}",
                *(f"{own.voxels[name]} ({own.ml[name]:.1f})" for name in names),
            ]
        )
    mean, std = pooled_hu(facts.values())
    voxels = [sum(own.voxels[name] for own in facts.values()) for name in names]
    ml = [sum(own.ml[name] for own in facts.values()) for name in names]
    total = [f"{n} ({v:.1f})" for n, v in zip(voxels, ml, strict=True)]
    return [*rows, ["all", "", "", "", "", f"{mean:.2f}", f"{std:.2f}", *total]]


def volume_source(
    read: Callable[..., Datalist],
    *,
    writes: tuple[str, ...] = (),
    rows: Rows = ct_rows,
    look: Look | None = None,
) -> Source:
    """A source of `medvol data` that holds volumes with label maps.

    Args:
        read: gets the options by name, and as `output` the folder that takes what it writes.
        writes: names of files and folders that `read` makes in `output`.
        rows: of the table that is printed.
        look: of the picture overview.png; None for none.
    """

    def make(output: Path, **given: Any) -> Datalist:
        with filling(output.parent, data=True) as scratch:
            datalist = read(output=scratch, **given)
            datalist.write(scratch / output.name, folder=output.parent)
        return Datalist.read(output)

    picture = "overview.png" if look else ""
    return Source(
        summary(read), options_of(read), make, rows, writes=writes, picture=picture, look=look
    )
