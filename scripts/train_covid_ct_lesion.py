# SPDX-License-Identifier: Apache-2.0
"""Train and cross-validate a CT lesion bundle, and put the weights into it.

    python scripts/train_covid_ct_lesion.py covid_ct_lesion_3d RADIOPAEDIA_FOLDER MEDSEG_FOLDER

Steps, each skipped when its result is there, so that the script can be stopped at any point and
started again: the datalists; one training per fold and one on all volumes (`--jobs` at a time),
each resumed from its last epoch; the lesion bias; evaluation of each fold's weights on the volumes
it did not see; one table of all folds; the weights of all volumes copied into the bundle.

Nothing is chosen on what it is measured on. The last epoch's weights are taken, not the best on the
held-out fold. A network trained on few patients marks too little in new ones, so a constant is
added to the scores of the two lesion classes: the one with the highest lesion Dice on the held-out
volumes of the *other* folds, in the mean over these. It becomes part of the last layer's bias.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from medvol.bundle.config import Config
from medvol.bundle.find import find_bundle
from medvol.bundle.launch import cpus, run_bundle, run_medvol
from medvol.chains import lung_ct
from medvol.data.datalist import load_items
from medvol.data.lung_lesions import LESION_VALUES
from medvol.engine.devices import choose_device
from medvol.metrics.masks.overlap import dice, overlap_counts, summarise
from medvol.networks.weights import load_weights
from medvol.training.checkpoint import save_atomically
from medvol.transforms.body import KeepInsideBodyd

FOLDS = 4
ALL = -1
BIASES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # of log odds: 2 makes a lesion 7.4 times as likely
DEVICE = choose_device("auto")
LAST_BIAS = "heads.0.conv.bias"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundle", choices=("covid_ct_lesion_3d", "covid_ct_lesion_25d"))
    parser.add_argument("data", type=Path, help="folder that `medvol data radiopaedia` reads")
    parser.add_argument("slices", type=Path, help="folder that `medvol data medseg` reads")
    parser.add_argument("--work", type=Path, help="folder of results, default runs/BUNDLE")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    args = parser.parse_args()
    args.work = args.work or Path("runs") / args.bundle

    datalist = args.work / "data" / "datalist.json"
    if not datalist.is_file():
        run_medvol("data", "radiopaedia", args.data, "-o", datalist)
    if not slices_of(args).is_file():
        run_medvol("data", "medseg", args.slices, "-o", slices_of(args))
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda fold: train(fold, args), [*range(FOLDS), ALL]))
    counts = {fold: lesion_counts(fold, args) for fold in range(FOLDS)}
    for fold in range(FOLDS):
        others = [count for other, count in counts.items() if other != fold]
        add_bias(args.work / f"fold{fold}", best_bias(others))
        evaluate(fold, args)
    write_table([args.work / f"fold{fold}" / "cases.csv" for fold in range(FOLDS)],
                args.work / "cross_validation.csv")  # fmt: skip
    add_bias(args.work / "all", best_bias(list(counts.values())))
    install(args.work / "all", args.bundle)
    return 0


def train(fold: int, args: argparse.Namespace) -> None:
    """One training to its last epoch; `weights.pt` then holds the plain weights."""
    folder = args.work / ("all" if fold == ALL else f"fold{fold}")
    if not (folder / "weights.pt").is_file():
        options = {
            "fold": fold, "output_dir": folder.resolve(), "val_interval": 1000,
            "slices_datalist": slices_of(args).resolve(),
        }  # fmt: skip
        run(["train.json"], args, options, threads=max(1, cpus() // args.jobs))
        state = torch.load(folder / "last.pt", weights_only=True)
        save_atomically(state["network"], folder / "weights.pt")


def slices_of(args: argparse.Namespace) -> Path:
    """Datalist of the MedSeg slices; only its training part is used."""
    work: Path = args.work
    return work / "slices" / "datalist.json"


def lesion_counts(fold: int, args: argparse.Namespace) -> torch.Tensor:
    """Overlap of lesion on the volumes a fold held out, on the network's grid: (biases, 3)."""
    work = args.work
    path = work / f"fold{fold}" / "bias.pt"
    if path.is_file():
        return torch.load(path, weights_only=True)["counts"]
    network, inferer = use_parts(args.bundle, work / f"fold{fold}" / "weights.pt")
    counts = torch.zeros(len(BIASES), 3, dtype=torch.float64)
    chain, inside = lung_ct(label_key="label"), KeepInsideBodyd("pred")
    for item in load_items(work / "data" / "datalist.json", fold=fold, part="validation"):
        data = chain({"image": item["image"], "label": item["label"]})
        with torch.no_grad():
            scores = inferer(data["image"][None].to(DEVICE), network)[0].as_tensor().cpu()
        background = inside({**data, "pred": torch.ones_like(scores)})["pred"][1] == 0
        scores[1:, background] = -torch.inf
        for index, bias in enumerate(BIASES):
            shifted = scores.clone()
            shifted[list(LESION_VALUES)] += bias
            counts[index] += overlap_counts(
                shifted.argmax(0), data["label"][0].as_tensor(), LESION_VALUES
            )
    save_atomically({"counts": counts}, path)
    return counts


def use_parts(bundle: str, weights: Path) -> tuple[torch.nn.Module, Any]:
    """Network with weights, and inferer, as the bundle's inference has them."""
    root = find_bundle(bundle)
    config = Config(root / "configs" / "inference.json", device=f"$torch.device({str(DEVICE)!r})")
    network = config.build("network").eval()
    load_weights(weights, network, DEVICE)
    return network, config.build("inferer")


def best_bias(counts: Sequence[torch.Tensor]) -> float:
    """The bias with the highest mean of the folds' Dice; no fold counts more for its lesions."""
    scores = dice(torch.stack(list(counts))).mean(0)
    print("  ".join(f"{b:g}: {s:.3f}" for b, s in zip(BIASES, scores.tolist(), strict=True)))
    return BIASES[int(scores.argmax())]


def add_bias(folder: Path, bias: float) -> None:
    """Write `calibrated.pt`: `weights.pt` with the bias in the last layer's lesion classes."""
    state = torch.load(folder / "weights.pt", weights_only=True)
    state[LAST_BIAS][list(LESION_VALUES)] += bias
    save_atomically(state, folder / "calibrated.pt")
    print(f"{folder.name}: lesion bias {bias:g}")


def evaluate(fold: int, args: argparse.Namespace) -> None:
    """The bundle's own evaluation of a fold's calibrated weights; writes `cases.csv`."""
    folder = (args.work / f"fold{fold}").resolve()
    options = {"fold": fold, "output_dir": folder, "ckpt_path": folder / "calibrated.pt"}
    run(["train.json", "evaluate.json"], args, options, threads=cpus())


def run(
    configs: Sequence[str], args: argparse.Namespace, options: dict[str, Any], *, threads: int
) -> None:
    settings = {"dataset_dir": (args.work / "data").resolve(), **options}
    run_bundle(find_bundle(args.bundle), configs, settings, threads=threads)


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


def install(folder: Path, bundle: str) -> None:
    """Copy the final weights into the bundle, and record the chain they were trained behind."""
    root = find_bundle(bundle)
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
