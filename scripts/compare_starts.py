#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure how many steps a bundle of chest CT needs from its weights and from random ones.

    python scripts/compare_starts.py covid_ct_lesion_25d --output starts --epochs 6

Phantoms are made, and the bundle is trained on all but one of them from both starts, by the same
plan but for the strategy. The last one is measured after every epoch. Printed are the figure after
each epoch, and the steps until the one from weights is as good as the one from random weights ever
became.
"""

import argparse
from pathlib import Path

from medvol.cli import main as medvol
from medvol.data.datalist import Datalist
from medvol.files import write_json
from medvol.text import aligned
from medvol.training.checkpoint import read_checkpoint
from medvol.training.curves import read_curves

STARTS = ("scratch", "weights")
NOT_FIGURES = ("train_loss", "learning_rate")


def phantoms(folder: Path, count: int) -> Path:
    """A datalist of so many phantoms, of which the last one is fold 0."""
    words = ["--count", str(count), "--spacing", "3", "3", "6", "--seed", "100"]
    if not (folder / "datalist.json").is_file():
        medvol(["data", "phantom", "--output", str(folder), *words])
    read = Datalist.read(folder / "datalist.json")
    items = [{**item, "fold": int(n < count - 1)} for n, item in enumerate(read.items())]
    write_json(folder / "last_held_out.json", {**read.about, "training": items})
    return folder / "last_held_out.json"


def trained(args: argparse.Namespace, data: Path, start: str) -> dict[int, float]:
    """Steps to figure of the held-out phantom."""
    folder = args.output / f"{args.bundle}_{start}"
    settings = [f"epochs={args.epochs}", f"repeat={args.repeat}", "val_interval=1", *args.settings]
    words = ["train", args.bundle, "--data", str(data), "--fold", "0", "--from", start,
             "--output", str(folder), "--set", *settings]  # fmt: skip
    if status := medvol(words):
        raise SystemExit(status)
    run = folder / "fold0" / "model"
    plan = read_checkpoint(run / "last.pt")
    each = plan["lr_scheduler"]["total_steps"] // plan["epoch"]
    points = [p for p in read_curves(run / "curves.csv") if p.name not in NOT_FIGURES]
    return {point.epoch * each: point.value for point in points}


def main() -> None:
    """Train from both starts, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", help="of chest CT")
    parser.add_argument("--output", type=Path, required=True, help="folder for phantoms and runs")
    parser.add_argument("--phantoms", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=6, help="of the whole; from weights one more")
    parser.add_argument("--repeat", type=int, default=8, help="of each phantom in an epoch")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="ID=VALUE")
    args = parser.parse_args()
    data = phantoms(args.output / "phantoms", args.phantoms)
    figures = {start: trained(args, data, start) for start in STARTS}
    steps = sorted({step for found in figures.values() for step in found})
    rows = [["steps", *(str(step) for step in steps)]]
    for start, found in figures.items():
        rows.append([start, *(f"{found[step]:.3f}" if step in found else "" for step in steps)])
    print(aligned(rows))
    best = max(figures["scratch"].values())
    for start, found in figures.items():
        reached = [step for step, figure in found.items() if figure >= best]
        print(f"{start}: {best:.3f} after {min(reached)} steps" if reached else f"{start}: never")


if __name__ == "__main__":
    main()
