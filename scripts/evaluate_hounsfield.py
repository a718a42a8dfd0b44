# SPDX-License-Identifier: Apache-2.0
"""Measure a lesion bundle on CTs with true HU: false-positive volume, and AUC per slice.

    python scripts/evaluate_hounsfield.py FOLDER --bundle covid_ct_lesion_3d

FOLDER holds `<case>_ct.nii.gz` and `slices.csv` with columns case, z (index along the last axis)
and infection (1 where a radiologist saw infection in the slice, else 0). A slice's score is its
lesion area in mm^2; a case without infected slices gives false-positive volume instead of an AUC.
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from monai.metrics import compute_roc_auc

from medvol.predict.predictor import load_bundle
from medvol.spatial import spacing_mm, voxel_volume_ml


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", default="covid_ct_lesion_3d")
    args = parser.parse_args()
    predictor = load_bundle(args.bundle)
    scores, truths = [], []
    for case, infected in slices(args.folder / "slices.csv").items():
        result = predictor.predict(args.folder / f"{case}_ct.nii.gz")
        lesion = np.isin(result.labels, result.bundle.focus)
        dx, dy, _ = spacing_mm(result.image.affine)
        area = lesion.sum(axis=(0, 1)) * dx * dy
        truth = np.array([infected[z] for z in range(len(area))])
        ml = lesion.sum() * voxel_volume_ml(result.image.affine)
        line = f"{case:12} lesion {ml:8.1f} ml"
        if truth.any():
            line += f"   slice AUC {auc(area, truth):.3f} ({truth.sum()} of {len(truth)} infected)"
        print(line, flush=True)
        scores.append(area)
        truths.append(truth)
    print(f"{'all':12} slice AUC {auc(np.concatenate(scores), np.concatenate(truths)):.3f}")
    return 0


def slices(path: Path) -> dict[str, dict[int, int]]:
    """Infection by slice index, by case."""
    cases: dict[str, dict[int, int]] = defaultdict(dict)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cases[row["case"]][int(row["z"])] = int(row["infection"])
    return cases


def auc(score: np.ndarray, truth: np.ndarray) -> float:
    return float(compute_roc_auc(torch.as_tensor(score), torch.as_tensor(truth)))


if __name__ == "__main__":
    sys.exit(main())
