# SPDX-License-Identifier: Apache-2.0
"""Train and cross-validate the bundle covid_ct_slice_classifier, and put the weights into it.

    python scripts/train_covid_ct_slice_classifier.py RADIOPAEDIA_FOLDER MEDSEG_FOLDER

Steps, each skipped when its result is there, so that the script can be stopped at any point and
started again: the datalists; one training per fold and one on all volumes, each resumed from its
last epoch; scores of the slices of each fold's held-out volumes; the calibration; one table of all
folds; the weights of all volumes put into the bundle.

Nothing is chosen on what it is measured on. The last epoch's weights are taken, not the best on the
held-out fold. A fold's calibration is fitted on the held-out slices of the *other* folds; that of
the final weights on those of all folds. It becomes part of the weights.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from medvol.bundle.find import find_bundle
from medvol.bundle.launch import cpus, run_bundle, run_medvol
from medvol.metrics.classes.calibration import expected_calibration_error, fit_platt, reliability
from medvol.metrics.classes.ranking import auc_interval, roc_auc
from medvol.report.plots import draw_reliability
from medvol.training.checkpoint import save_atomically
from medvol.transforms.slice_labels import SMALLEST_MM2

BUNDLE = "covid_ct_slice_classifier"
FOLDS = 4
ALL = -1


class Slices(NamedTuple):
    """Held-out slices that are positive or negative: case, log odds, truth."""

    case: np.ndarray
    log_odds: np.ndarray
    truth: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that `medvol data radiopaedia` reads")
    parser.add_argument("slices", type=Path, help="folder that `medvol data medseg` reads")
    parser.add_argument("--work", type=Path, default=Path("runs") / BUNDLE)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    args = parser.parse_args()

    lists = {"radiopaedia": args.work / "data/datalist.json", "medseg": slices_of(args)}
    for source, datalist in lists.items():
        if not datalist.is_file():
            folder = args.data if source == "radiopaedia" else args.slices
            run_medvol("data", source, folder, "-o", datalist)
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda fold: train(fold, args), (*range(FOLDS), ALL)))
    held_out = [scores(fold, args) for fold in range(FOLDS)]
    calibrated = []
    for fold, own in enumerate(held_out):
        slope, offset = fitted([slices for slices in held_out if slices is not own])
        calibrate(args.work / f"fold{fold}", slope, offset)
        calibrated.append(own._replace(log_odds=slope * own.log_odds + offset))
    summarise(joined(calibrated), args.work)
    calibrate(args.work / "all", *fitted(held_out))
    install(args.work / "all")
    return 0


def train(fold: int, args: argparse.Namespace) -> None:
    """One training to its last epoch; `weights.pt` then holds the plain weights."""
    folder = folder_of(fold, args)
    if (folder / "weights.pt").is_file():
        return
    options = {"fold": fold, "slices_datalist": slices_of(args).resolve(), "val_interval": 1000}
    run(["train.json"], folder, args, options)
    state = torch.load(folder / "last.pt", weights_only=True)
    save_atomically(state["network"], folder / "weights.pt")


def scores(fold: int, args: argparse.Namespace) -> Slices:
    """The slices of the volumes a fold held out, without those of little lesion."""
    folder = folder_of(fold, args)
    path = folder / "slice_scores.csv"
    if not path.is_file():
        options = {"fold": fold, "ckpt_path": (folder / "weights.pt").resolve()}
        run(["train.json", "evaluate.json"], folder, args, options)
    with open(path, newline="", encoding="utf-8") as file:
        rows = [
            row for row in csv.DictReader(file) if not 0 < float(row["lesion_mm2"]) < SMALLEST_MM2
        ]
    area = np.array([float(row["lesion_mm2"]) for row in rows])
    odds = np.array([float(row["log_odds"]) for row in rows])
    return Slices(np.array([row["case"] for row in rows]), odds, (area > 0).astype(int))


def joined(parts: Sequence[Slices]) -> Slices:
    return Slices(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def fitted(parts: Sequence[Slices]) -> tuple[float, float]:
    slices = joined(parts)
    return fit_platt(slices.log_odds, slices.truth)


def calibrate(folder: Path, slope: float, offset: float) -> None:
    """Write `calibrated.pt`: `weights.pt`, whose log odds are those of area alone, calibrated."""
    state = torch.load(folder / "weights.pt", weights_only=True)
    state |= {"slope": torch.tensor(slope), "offset": torch.tensor(offset)}
    save_atomically(state, folder / "calibrated.pt")
    print(f"{folder.name}: slope {slope:.3f}, offset {offset:.3f}")


def summarise(slices: Slices, work: Path) -> None:
    """AUC of each case and of all, and calibration; `cross_validation.csv` and a picture."""
    probability = 1 / (1 + np.exp(-slices.log_odds))
    with open(work / "cross_validation.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "slices", "positive", "auc"))
        aucs = []
        for case in np.unique(slices.case):
            own = slices.case == case
            auc = roc_auc(probability[own], slices.truth[own])
            aucs.append(auc)
            line = (case, own.sum(), slices.truth[own].sum(), f"{auc:.4f}")
            writer.writerow(line)
            print(*line)
        interval = auc_interval(probability, slices.truth, slices.case.tolist())
        error = expected_calibration_error(probability, slices.truth)
        counts = (len(slices.truth), slices.truth.sum())
        writer.writerow(("mean", *counts, f"{np.nanmean(aucs):.4f}"))
        writer.writerow(("pooled", *counts, f"{interval.value:.4f}"))
    sure = f"{interval.low:.3f} to {interval.high:.3f}"
    print(f"mean AUC {np.nanmean(aucs):.3f}, pooled {interval.value:.3f} ({sure})")
    print(f"calibration error {error:.3f}")
    bins = {"held-out slices": reliability(probability, slices.truth)}
    draw_reliability(work / "reliability.png", bins, title=BUNDLE)


def folder_of(fold: int, args: argparse.Namespace) -> Path:
    work: Path = args.work
    return work / ("all" if fold == ALL else f"fold{fold}")


def slices_of(args: argparse.Namespace) -> Path:
    """Datalist of the MedSeg slices; only its training part is used."""
    work: Path = args.work
    return work / "slices" / "datalist.json"


def run(
    configs: Sequence[str], folder: Path, args: argparse.Namespace, options: dict[str, Any]
) -> None:
    settings = {
        "dataset_dir": (args.work / "data").resolve(), "output_dir": folder.resolve(), **options,
    }  # fmt: skip
    threads = max(1, cpus() // args.jobs)
    run_bundle(find_bundle(BUNDLE), configs, settings, threads=threads)


def install(folder: Path) -> None:
    """Copy the final weights into the bundle, and record the chain they were trained behind."""
    root = find_bundle(BUNDLE)
    state = torch.load(folder / "calibrated.pt", weights_only=True)
    save_atomically(state, root / "models" / "model.pt")
    path = root / "configs" / "metadata.json"
    fingerprint = torch.load(folder / "last.pt", weights_only=True)["chain_fingerprint"]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if '"chain_fingerprint"' not in line]
    line = f'    "chain_fingerprint": "{fingerprint}",\n'
    path.write_text("".join([kept[0], line, *kept[1:]]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
