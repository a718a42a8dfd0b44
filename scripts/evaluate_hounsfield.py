# SPDX-License-Identifier: Apache-2.0
"""Measure a lesion bundle on CTs with true HU: AUC per slice, calibration, false-positive volume.

    python scripts/evaluate_hounsfield.py FOLDER --bundle covid_ct_lesion_3d

FOLDER holds `<case>_ct.nii.gz` and `slices.csv` with columns case, z (index along the last axis)
and infection (1 where a radiologist saw infection in the slice, else 0). A slice's score is its
lesion area in mm^2, or the probability of a bundle that classifies slices. A case without infected
slices gives false-positive volume, or falsely found slices, instead of an AUC. `--picture` draws
how a classifier's probabilities agree with the truth.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from medvol.answer import Answer
from medvol.files import read_csv
from medvol.metrics.classes.calibration import expected_calibration_error, reliability
from medvol.metrics.classes.figures import ranking_estimate
from medvol.metrics.classes.ranking import roc_auc, threshold_rows
from medvol.metrics.intervals import leave_out
from medvol.report.plots import draw_reliability
from medvol.spatial import spacing_mm, voxel_volume_ml
from medvol.tasks.task import load_bundle


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", default="covid_ct_lesion_3d")
    parser.add_argument("--picture", type=Path, help="PNG of a classifier's calibration")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    scores, truths, cases = [], [], []
    for case, infected in slices(args.folder / "slices.csv").items():
        answer = bundle.predict(args.folder / f"{case}_ct.nii.gz")
        score, said = score_of(answer)
        truth = np.array([infected[z] for z in range(len(score))])
        line = f"{case:12} {said}"
        if truth.any():
            line += f"   slice AUC {roc_auc(score, truth):.3f}"
            line += f" ({truth.sum()} of {len(truth)} infected)"
        print(line, flush=True)
        scores.append(score)
        truths.append(truth)
        cases += [case] * len(truth)
    score, truth = np.concatenate(scores), np.concatenate(truths)
    auc = ranking_estimate("auc", score, truth, leave_out(cases))
    print(f"{'all':12} slice AUC {auc.words('{:.3f}'.format)} {auc.withheld}".rstrip())
    if bundle.spec.slice_rule is not None:
        threshold = bundle.spec.slice_rule.threshold
        (row,) = threshold_rows(score, truth, [threshold])
        print(
            f"{'':12} sensitivity {row.sensitivity:.3f}, specificity {row.specificity:.3f} "
            f"at {threshold}"
        )
        print(f"{'':12} expected calibration error {expected_calibration_error(score, truth):.3f}")
        if args.picture:
            draw_reliability(args.picture, {"true HU": reliability(score, truth)})
    return 0


def score_of(answer: Answer) -> tuple[np.ndarray, str]:
    """Score of each slice, and what was found in words."""
    if answer.slices is not None and answer.mask is None:
        return answer.slices.probability, f"{answer.finding}, {answer.slices}"
    lesion = np.isin(answer.mask, answer.spec.focus)
    dx, dy, _ = spacing_mm(answer.image.affine)
    ml = lesion.sum() * voxel_volume_ml(answer.image.affine)
    return lesion.sum(axis=(0, 1)) * dx * dy, f"lesion {ml:8.1f} ml"


def slices(path: Path) -> dict[str, dict[int, int]]:
    """Infection by slice index, by case."""
    cases: dict[str, dict[int, int]] = defaultdict(dict)
    for row in read_csv(path):
        cases[row["case"]][int(row["z"])] = int(row["infection"])
    return cases


if __name__ == "__main__":
    sys.exit(main())
