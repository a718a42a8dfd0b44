# SPDX-License-Identifier: Apache-2.0
"""Train and cross-validate the bundle covid_ct_lesion_3d, and put the weights into it.

    python scripts/train_covid_ct_lesion_3d.py RADIOPAEDIA_FOLDER --work runs/covid_ct_lesion_3d

Steps, each skipped when its result is there, so that the script can be stopped at any point and
started again: the datalist; one training per fold and one on all volumes (`--jobs` at a time), each
resumed from its last epoch; evaluation of each fold's last weights on the volumes it did not see;
one table of all folds; the weights of all volumes copied into the bundle. The last epoch's weights
are taken, not the best on the held-out fold: that would choose on what is measured.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from medvol.bundle.description import describe
from medvol.metrics.segmentation import summarise
from medvol.training.checkpoint import save_atomically

BUNDLE = "covid_ct_lesion_3d"
FOLDS = 4
ALL = -1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that `medvol data radiopaedia` reads")
    parser.add_argument("--work", type=Path, default=Path("runs") / BUNDLE)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--epochs", type=int, help="default: what train.json says")
    parser.add_argument("--folds", type=int, nargs="*", default=[*range(FOLDS), ALL])
    args = parser.parse_args()

    datalist = args.work / "data" / "datalist.json"
    if not datalist.is_file():
        run_medvol("data", "radiopaedia", args.data, "-o", datalist)
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda fold: train_and_evaluate(fold, args), args.folds))
    tables = [args.work / f"fold{fold}" / "cases.csv" for fold in range(FOLDS)]
    if all(table.is_file() for table in tables):
        write_table(tables, args.work / "cross_validation.csv")
    final = args.work / "all" / "weights.pt"
    if final.is_file():
        install(final, args.work / "all" / "last.pt")
    return 0


def train_and_evaluate(fold: int, args: argparse.Namespace) -> None:
    """One training to its last epoch, then its last weights on the volumes held out."""
    folder = args.work / ("all" if fold == ALL else f"fold{fold}")
    last, weights, cases = folder / "last.pt", folder / "weights.pt", folder / "cases.csv"
    if not weights.is_file():
        options = {"fold": fold, "output_dir": folder.resolve(), "val_interval": 1000}
        if args.epochs:
            options["epochs"] = args.epochs
        run_bundle(["train.json"], args, options, threads=max(1, cpus() // args.jobs))
        save_atomically(torch.load(last, weights_only=True)["network"], weights)
    if fold != ALL and not cases.is_file():
        options = {"fold": fold, "output_dir": folder.resolve(), "ckpt_path": weights.resolve()}
        run_bundle(["train.json", "evaluate.json"], args, options, threads=cpus() // args.jobs)


def run_bundle(
    configs: Sequence[str], args: argparse.Namespace, options: dict[str, Any], *, threads: int
) -> None:
    """`python -m monai.bundle run` with its output in log.txt beside the results."""
    root = describe(BUNDLE).folder
    files = [str(root / "configs" / name) for name in configs]
    options = {"bundle_root": root, "dataset_dir": (args.work / "data").resolve(), **options}
    folder = Path(options["output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with open(folder / "log.txt", "a", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env=environment)


def run_medvol(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "medvol", *map(str, words)], check=True)


def write_table(tables: Sequence[Path], path: Path) -> None:
    """Join the folds' case tables, and put pooled and mean Dice of all cases below."""
    rows = [row for table in tables for row in read(table) if row["case"] not in ("pooled", "mean")]
    regions = list(dict.fromkeys(row["region"] for row in rows))
    names = list(dict.fromkeys(row["case"] for row in rows))
    count = {(row["case"], row["region"]): row for row in rows}
    columns = ("voxels_both", "voxels_predicted", "voxels_true")
    counts = torch.tensor(
        [[[float(count[n, r][c]) for c in columns] for r in regions] for n in names]
    )
    pooled, mean = summarise(counts.double())
    for kind, scores in (("pooled", pooled), ("mean", mean)):
        for region, score in zip(regions, scores.tolist(), strict=True):
            rows.append({"case": kind, "region": region, "dice": f"{score:.4f}"})
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), restval="")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(f"{row['case']:20} {row['region']:22} {row['dice']}")


def read(table: Path) -> list[dict[str, str]]:
    with open(table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def install(weights: Path, checkpoint: Path) -> None:
    """Copy the final weights into the bundle, and record the chain they were trained behind."""
    root = describe(BUNDLE).folder
    save_atomically(torch.load(weights, weights_only=True), root / "models" / "model.pt")
    path = root / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    fingerprint = torch.load(checkpoint, weights_only=True)["chain_fingerprint"]
    if metadata.get("chain_fingerprint") != fingerprint:
        text = path.read_text(encoding="utf-8")
        line = f'    "chain_fingerprint": "{fingerprint}",\n'
        kept = [x for x in text.splitlines(keepends=True) if '"chain_fingerprint"' not in x]
        path.write_text("".join([kept[0], line, *kept[1:]]), encoding="utf-8")


def cpus() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
