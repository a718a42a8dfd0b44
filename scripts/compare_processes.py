#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure how far the curve of a training on two processes is from that on one.

    python scripts/compare_processes.py covid_ct_lesion_3d --output processes

Phantoms are made, half of them are held out and measured after each epoch. Beside the curves of one
and of two processes stands that of one process with two threads: sums are rounded in another order
there too, so this is how far two curves are apart that nobody calls different. In float32.
"""

import argparse
import os
from pathlib import Path

from medvol.cli import main as medvol
from medvol.data.datalist import Datalist
from medvol.files import write_json
from medvol.text import aligned
from medvol.training.allowance import read_standing
from medvol.training.curves import read_curves

RUNS = {  # processes, threads of each
    "one process": (1, 1),
    "one process, two threads": (1, 2),
    "two processes": (2, 1),
}
SMALL = ["val_interval=1", "precision=fp32", "batch_size=4", "spacing_mm=[3.0,3.0,6.0]"]


def phantoms(folder: Path) -> Path:
    """A datalist of four phantoms in two folds."""
    words = ["--count", "4", "--spacing", "3", "3", "6", "--seed", "100"]
    if not (folder / "datalist.json").is_file():
        medvol(["data", "phantom", "--output", str(folder), *words])
    read = Datalist.read(folder / "datalist.json")
    items = [{**item, "fold": n % 2} for n, item in enumerate(read.items())]
    write_json(folder / "two_folds.json", {**read.about, "training": items})
    return folder / "two_folds.json"


def trained(
    args: argparse.Namespace, data: Path, name: str
) -> tuple[dict[tuple[int, str], float], float]:
    """Epoch and name to value, and the seconds that the training took."""
    processes, threads = RUNS[name]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    folder = args.output / name.replace(", ", "_").replace(" ", "_")
    settings = [*SMALL, f"epochs={args.epochs}", f"repeat={args.repeat}", *args.settings]
    words = ["train", args.bundle, "--data", str(data), "--fold", "0",
             "--output", str(folder), "--nproc", str(processes)]  # fmt: skip
    if status := medvol([*words, "--set", *settings]):
        raise SystemExit(status)
    run = folder / "fold0" / "model"
    points = [p for p in read_curves(run / "curves.csv") if p.name != "learning_rate"]
    return {(p.epoch, p.name): p.value for p in points}, read_standing(run).seconds


def main() -> None:
    """Train three times, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", help="of chest CT")
    parser.add_argument("--output", type=Path, required=True, help="folder for phantoms and runs")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=16, help="of each phantom in an epoch")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="ID=VALUE")
    args = parser.parse_args()
    data = phantoms(args.output / "phantoms")
    found = {name: trained(args, data, name) for name in RUNS}
    first = found["one process"][0]
    rows = [["epoch", "figure", *RUNS]]
    rows += [[str(epoch), figure, *(f"{curve[epoch, figure]:.6f}" for curve, _ in found.values())]
             for epoch, figure in first]  # fmt: skip
    rows.append(["", "seconds", *(f"{seconds:.0f}" for _, seconds in found.values())])
    print(aligned(rows))
    for name, (curve, _) in found.items():
        for figure in dict.fromkeys(figure for _, figure in first):
            shares = [abs(curve[at] / x - 1) for at, x in first.items() if at[1] == figure and x]
            apart = max(shares, default=0.0)
            print(f"{name}: {figure} at most {apart:.1e} of it apart")


if __name__ == "__main__":
    main()
