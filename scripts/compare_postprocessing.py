# SPDX-License-Identifier: Apache-2.0
"""What one step of a lesion bundle's postprocessing changes: each CT with it and without it.

    python scripts/compare_postprocessing.py FOLDER --bundle covid_ct_lesion_3d

FOLDER holds `<case>_ct.nii.gz` and the truth: `<case>_lesion.nii.gz` on the CT's grid, where lesion
is all that is not 0; or, where there is none, `slices.csv` with columns case, z (index along the
last axis) and infection (1 or 0). The network runs once a case, so that nothing but the step
differs. Both lesion labels count as one region. `ml` is the volume marked, `false ml` what of it
lies in slices without lesion, `AUC` says how well the marked area sorts slices with lesion from
those without.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import numpy.typing as npt
from monai.transforms import Compose

from medvol.files import read_csv, write_csv
from medvol.metrics.classes.ranking import roc_auc
from medvol.spatial import voxel_volume_ml
from medvol.tasks.task import Bundle, load_bundle

COLUMNS = (
    "case", "true ml", "ml without", "ml with", "Dice without", "Dice with", "false ml without",
    "false ml with", "AUC without", "AUC with",
)  # fmt: skip
Mask = npt.NDArray[np.bool_]


class Truth(NamedTuple):
    """Lesion (X, Y, Z) where it is drawn; and of every slice (Z,) whether it has some."""

    lesion: Mask | None
    slices: Mask


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", default="covid_ct_lesion_3d")
    parser.add_argument("--step", default="KeepInsideLungsd", help="class of the step")
    parser.add_argument("--output", type=Path, help="CSV of the table")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    rows = []
    print(" | ".join(COLUMNS))
    for ct in sorted(args.folder.glob("*_ct.nii.gz")):
        name = ct.name.removesuffix("_ct.nii.gz")
        affine = nibabel.load(ct).affine
        masks = without_and_with(bundle, ct, args.step)
        rows.append([name, *figures(masks, truth_of(args.folder, name), voxel_volume_ml(affine))])
        print(" | ".join(map(str, rows[-1])), flush=True)
    if args.output:
        write_csv(args.output, COLUMNS, rows)
    return 0


def without_and_with(bundle: Bundle, ct: Path, step: str) -> tuple[Mask, Mask]:
    """Lesion as the bundle marks it without the step and with it."""
    pipeline = bundle.pipeline
    whole: Callable[..., Any] = pipeline.restore
    steps = list(pipeline.restore.transforms)
    others = [transform for transform in steps if type(transform).__name__ != step]
    if len(others) == len(steps):
        raise SystemExit(f"{bundle.spec.name} has no step {step} in its postprocessing")
    scores: list[Mapping[Any, Any]] = []

    def remember(data: Mapping[Any, Any]) -> Mapping[Any, Any]:
        scores.append(data)
        return data

    pipeline.restore = Compose([remember, whole])
    try:
        answer = bundle.predict(ct)
    finally:
        pipeline.restore = Compose(steps)
    before = np.asarray(Compose(others)(scores[0])["pred"][0].cpu())
    focus = list(bundle.spec.focus)
    return np.isin(before, focus), np.isin(answer.mask, focus)


def truth_of(folder: Path, case: str) -> Truth:
    path = folder / f"{case}_lesion.nii.gz"
    if path.is_file():
        lesion = np.asarray(nibabel.load(path).dataobj) > 0
        return Truth(lesion, lesion.any(axis=(0, 1)))
    rows = [row for row in read_csv(folder / "slices.csv") if row["case"] == case]
    rows.sort(key=lambda row: int(row["z"]))
    return Truth(None, np.array([row["infection"] == "1" for row in rows]))


def figures(masks: tuple[Mask, Mask], truth: Truth, voxel_ml: float) -> list[str]:
    """The figures of a case in the order of `COLUMNS`; empty where the truth does not tell."""
    true, lesion = truth.slices, truth.lesion
    cells = ["" if lesion is None else f"{lesion.sum() * voxel_ml:.1f}"]
    cells += [f"{mask.sum() * voxel_ml:.2f}" for mask in masks]
    cells += ["" if lesion is None else f"{dice(mask, lesion):.4f}" for mask in masks]
    cells += [f"{mask[:, :, ~true].sum() * voxel_ml:.2f}" for mask in masks]
    sorts = true.any() and not true.all()
    areas = [mask.sum(axis=(0, 1)) for mask in masks]
    return cells + [f"{roc_auc(area, true):.3f}" if sorts else "" for area in areas]


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


if __name__ == "__main__":
    sys.exit(main())
