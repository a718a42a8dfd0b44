# SPDX-License-Identifier: Apache-2.0
"""Train and measure a bundle of chest radiographs: the published network and the bundle's own.

    python scripts/train_chest_xray.py chest_xray_pneumonia_type DATA --own-split DATA
    python scripts/train_chest_xray.py chest_xray_pneumonia DATA --pretrained FILE
    python scripts/train_chest_xray.py chest_xray_covid DATA --as-published DATA --pretrained FILE

DATA is a datalist that `medvol data kermany` or `medvol data covid-xray` wrote. Steps, each skipped
when its result is there, so that the script can be stopped at any point and started again: the
trainings (`--jobs` at a time), each resumed from its last epoch; their answers for the validation
and the test part; a table; the weights of the bundle's own recipe put into the bundle.

Nothing is chosen on the test part. The bundle's own recipe gives the weights of the last epoch, the
published one those of the best epoch on the validation part. `figures.csv` has the figures of both
parts.
"""

import argparse
import csv
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from medvol.bundle.find import find_bundle
from medvol.bundle.launch import cpus, run_bundle
from medvol.data.datalist import Datalist
from medvol.metrics.classes.figures import accuracy, balanced_accuracy, log_likelihood, macro_auc
from medvol.training.checkpoint import save_atomically

BUNDLES = ("chest_xray_pneumonia", "chest_xray_pneumonia_type", "chest_xray_covid")
PUBLISHED = "published.json"  # overlay with the published network, where it is another
PARTS = ("validation", "test")


class Recipe(NamedTuple):
    """A training: its name, the datalist, the overlays on top of train.json."""

    name: str
    data: Path
    overlays: tuple[str, ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundle", choices=BUNDLES)
    parser.add_argument("data", type=Path, help="datalist, .json")
    parser.add_argument("--own-split", type=Path, help="datalist of another split, measured too")
    parser.add_argument("--as-published", type=Path, help="datalist as published, measured too")
    parser.add_argument("--pretrained", type=Path, help="weights that the own recipe starts from")
    parser.add_argument("--work", type=Path, help="default: runs/BUNDLE")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these trainings alone")
    args = parser.parse_args()
    args.work = args.work or Path("runs") / args.bundle
    root = find_bundle(args.bundle)
    wanted = [r for r in recipes(args, root) if not args.only or r.name in args.only]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda recipe: train(recipe, root, args), wanted))
    rows = [figures(recipe, part, args) for recipe in wanted for part in PARTS]
    with open(args.work / "figures.csv", "w", newline="", encoding="utf-8") as file:
        columns = dict.fromkeys(column for row in rows for column in row)
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep="  ")
    if any(recipe.name == "own" for recipe in wanted):
        install(args.work / "own", root)
    return 0


def recipes(args: argparse.Namespace, root: Path) -> list[Recipe]:
    """The bundle's own recipe and the published one, on each datalist that was given."""
    own = [Recipe("own", args.data)]
    if args.own_split:
        own.append(Recipe("own_own_split", args.own_split))
    if args.as_published:
        own.append(Recipe("own_as_published", args.as_published))
    if not (root / "configs" / PUBLISHED).is_file():
        return own
    return own + [
        recipe._replace(name=recipe.name.replace("own", "published", 1), overlays=(PUBLISHED,))
        for recipe in own
    ]


def train(recipe: Recipe, root: Path, args: argparse.Namespace) -> None:
    """Train to the last epoch, then answer for both parts: `<part>/predictions.csv`."""
    folder = args.work / recipe.name
    settings = {"datalist": recipe.data.resolve(), "output_dir": folder.resolve()}
    threads = max(1, cpus() // args.jobs)
    if not (folder / "weights.pt").is_file():
        given = args.pretrained and not recipe.overlays
        options = {"pretrained": args.pretrained.resolve()} if given else {}
        run_bundle(root, ["train.json", *recipe.overlays], settings | options, threads=threads)
        best = torch.load(folder / "model.pt", weights_only=True)
        last = torch.load(folder / "last.pt", weights_only=True)["network"]
        save_atomically(best if recipe.overlays else last, folder / "weights.pt")
    for part in PARTS:
        if not (folder / part / "predictions.csv").is_file():
            settings["output_dir"] = (folder / part).resolve()
            options = {"ckpt_path": (folder / "weights.pt").resolve(), "validate#part": part}
            configs = ["train.json", *recipe.overlays, "evaluate.json"]
            run_bundle(root, configs, settings | options, threads=threads)


def figures(recipe: Recipe, part: str, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one part, from its answers."""
    datalist = Datalist.read(recipe.data)
    items = {item["image"]: item for item in datalist.items(part)}
    path = args.work / recipe.name / part / "predictions.csv"
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = datalist.class_names
    probability = np.array([[float(row[f"probability_{name}"]) for name in names] for row in rows])
    true = np.array([items[row["image"]]["label"] for row in rows])
    source = np.array([items[row["image"]].get("source", "") for row in rows])
    said = probability.argmax(1)
    found: dict[str, Any] = {
        "training": recipe.name, "part": part, "images": len(rows),
        "accuracy": accuracy(probability, true),
        "balanced accuracy": balanced_accuracy(probability, true),
        "AUC": macro_auc(probability, true),
        "log loss": -log_likelihood(probability, true),
    }  # fmt: skip
    for index, name in enumerate(names):
        found[f"recall {name}"] = (said[true == index] == index).mean()
        found[f"precision {name}"] = (true[said == index] == index).mean()
    for name in np.unique(source) if len(np.unique(source)) > 1 else ():
        own = source == name  # where one source has all classes, it cannot tell them
        if len(np.unique(true[own])) == len(names):
            found[f"AUC within {name}"] = macro_auc(probability[own], true[own])
    return {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in found.items()}


def install(folder: Path, root: Path) -> None:
    """Put the weights into the bundle, half as large, and record their chain."""
    state = torch.load(folder / "weights.pt", weights_only=True)
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    (root / "models").mkdir(exist_ok=True)
    save_atomically(halved, root / "models" / "model.pt")
    shutil.copy(folder / "curves.png", root / "docs" / "curves.png")
    fingerprint = torch.load(folder / "last.pt", weights_only=True)["chain_fingerprint"]
    path = root / "configs" / "metadata.json"
    text = re.sub(r'    "chain_fingerprint": "\w*",\n', "", path.read_text(encoding="utf-8"))
    line = f'{{\n    "chain_fingerprint": "{fingerprint}",\n'
    path.write_text(text.replace("{\n", line, 1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
