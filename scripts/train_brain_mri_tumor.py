# SPDX-License-Identifier: Apache-2.0
"""Train and cross-validate the bundle brain_mri_tumor: its gate in two strategies, its segmenter.

    python scripts/train_brain_mri_tumor.py LGG_FOLDER --work runs/brain_mri_tumor

Steps, each skipped when its result is there, so that the script can be stopped at any point and
started again: the datalist; the trainings (`--jobs` at a time), each resumed from its last epoch;
each fold's networks on the patients that they did not see, slice by slice (`slices.csv`); the
figures; the weights of all patients copied into the bundle, with the gate's threshold.

Nothing is chosen on what it is measured on. The last epoch's weights are taken, not the best on the
held-out fold. The gate's threshold for a fold is the highest that lets `SENSITIVITY` of the tumour
slices of the *other* folds pass, and a slice of each of their patients.

The gate's body starts from weights of others when `--body-weights` names a file (ResNet in
torchvision's layout, such as ImageNet weights); else from a body that has learnt, on the training
patients' slices and without their masks, which part of the head a slice shows. Strategy 1 trains a
new head on the frozen body (`gate_head`); strategy 2 goes on from there with everything at a very
small learning rate (`gate_fine`). `gate_scratch` starts from nothing, to compare.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_roc_auc

from medvol.bundle.config import Config
from medvol.bundle.find import find_bundle
from medvol.bundle.launch import cpus, run_bundle, run_medvol
from medvol.data.datalist import load_items
from medvol.data.sources.lgg import patient_of
from medvol.images import read_image
from medvol.metrics.intervals import draw_patients, median_estimate, ratio_estimate
from medvol.networks.weights import load_weights
from medvol.slices import passing_slices
from medvol.training.checkpoint import save_atomically
from medvol.transforms.restore import InvertLabelsd

BUNDLE = "brain_mri_tumor"
ALL = -1
NO_VALIDATION = 100_000  # epochs between two, so that there is none
# what each training is: its configs on top of train.json, and its settings
SEGMENTER = "segmenter"
TRAININGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    SEGMENTER: ([], {}),
    "gate_body": (["train_gate.json", "pretrain_gate.json"], {"epochs": 6}),
    "gate_head": (["train_gate.json"], {"epochs": 3, "freeze_body": True}),
    "gate_fine": (["train_gate.json"], {"epochs": 8, "learning_rate": 1e-4, "keep_head": True}),
    "gate_scratch": (["train_gate.json"], {"epochs": 11}),
}
GATES = ("gate_head", "gate_fine", "gate_scratch")
SENSITIVITY = 0.98  # of slices, on the patients that choose the threshold
THRESHOLDS = np.round(np.arange(0.01, 0.96, 0.01), 2)
BEGINS_WITH = {"gate_head": "gate_body", "gate_fine": "gate_head"}  # weights of another training


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that `medvol data lgg` reads")
    parser.add_argument("--work", type=Path, default=Path("runs") / BUNDLE)
    parser.add_argument("--folds", type=int, default=5, choices=[3, 5])
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--body-weights", type=Path, help="of a ResNet in torchvision's layout")
    parser.add_argument("--only", choices=list(TRAININGS), nargs="+", help="these trainings alone")
    parser.add_argument("--only-folds", type=int, nargs="+", help="these folds alone; -1 is all")
    args = parser.parse_args()

    datalist = args.work / "data" / "datalist.json"
    if not datalist.is_file():
        run_medvol("data", "lgg", args.data, "-o", datalist, "--folds", args.folds)
    chains = [
        [(kind, fold) for kind in kinds if kind in (args.only or TRAININGS)]
        for fold in args.only_folds or [*range(args.folds), ALL]
        for kinds in ((SEGMENTER,), GATES)  # one training of a gate needs the one before
        if args.only or kinds != GATES or fold != ALL  # of all patients, only the chosen gate
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda chain: [train(kind, fold, args) for kind, fold in chain], chains))
    if args.only or args.only_folds:
        return 0
    torch.set_num_threads(cpus())
    slices = [row for fold in range(args.folds) for row in measure(fold, args)]
    kind, threshold = figures(slices, args)
    train(kind, ALL, args)
    install(kind, threshold, args)
    return 0


def folder_of(kind: str, fold: int, args: argparse.Namespace) -> Path:
    work: Path = args.work
    return work / ("all" if fold == ALL else f"fold{fold}") / kind


def train(kind: str, fold: int, args: argparse.Namespace) -> None:
    """One training to its last epoch; `weights.pt` then holds the plain weights."""
    folder = folder_of(kind, fold, args)
    if (folder / "weights.pt").is_file() or (kind == "gate_body" and args.body_weights):
        return
    if kind in BEGINS_WITH:
        train(BEGINS_WITH[kind], fold, args)
    configs, settings = TRAININGS[kind]
    options = {**settings, "fold": fold, "output_dir": folder.resolve()}
    options["val_interval"] = NO_VALIDATION
    if kind in BEGINS_WITH:
        before = folder_of(BEGINS_WITH[kind], fold, args) / "weights.pt"
        given = args.body_weights if kind == "gate_head" else None
        options["pretrained"] = (given or before).resolve()
    options = {"dataset_dir": (args.work / "data").resolve(), **options}
    threads = max(1, cpus() // args.jobs)
    run_bundle(find_bundle(BUNDLE), ["train.json", *configs], options, threads=threads)
    state = torch.load(folder / "last.pt", weights_only=True)
    save_atomically(state["network"], folder / "weights.pt")


def measure(fold: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per slice of the patients that a fold held out: truth, mask, what each gate says."""
    path = args.work / f"fold{fold}" / "slices.csv"
    if not path.is_file():
        root = find_bundle(BUNDLE)
        config = Config(root / "configs" / "inference.json", bundle_root=str(root),
                        gate_threshold="$None", device="cpu")  # fmt: skip
        chain, inferer = config.build("preprocessing"), config.build("inferer")
        restore = InvertLabelsd("pred", transform=chain)
        segmenter, gate = config.build("network").eval(), config.build("gate_def").eval()
        kinds = [k for k in GATES if (folder_of(k, fold, args) / "weights.pt").is_file()]
        items = load_items(args.work / "data" / "datalist.json", fold=fold, part="validation")
        rows = []
        for item in items:
            data = chain({"image": item["image"]})
            load_weights(folder_of(SEGMENTER, fold, args) / "weights.pt", segmenter)
            volume = data["image"][None]
            with torch.inference_mode():
                data["pred"] = torch.softmax(inferer(volume, segmenter)[0], 0)
                said = {}
                for kind in kinds:
                    load_weights(folder_of(kind, fold, args) / "weights.pt", gate)
                    said[kind] = torch.softmax(inferer(volume, gate)[0], 0)[1].tolist()
            predicted = np.asarray(restore(data)["pred"][0]) > 0
            true = read_image(item["label"], kind="mask").array > 0
            for k in range(true.shape[2]):  # the volumes of `medvol data lgg` run from feet to head
                a, b = predicted[:, :, k], true[:, :, k]
                row = {"case": item["case"], "fold": fold, "slice": k, "true": int(b.sum()),
                       "predicted": int(a.sum()), "both": int((a & b).sum())}  # fmt: skip
                rows.append(row | {kind: f"{values[k]:.4f}" for kind, values in said.items()})
        write_rows(path, rows)
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures(slices: list[dict[str, Any]], args: argparse.Namespace) -> tuple[str, float]:
    """Write `gates.csv`, `cross_validation.csv` and `figures.json`; the gate and its threshold."""
    compared = [row for row in slices if all(row.get(kind) for kind in GATES)]
    gates = []
    for kind in GATES:
        score, true = (np.array([float(r[key]) for r in compared]) for key in (kind, "true"))
        auc = compute_roc_auc(torch.tensor(score), torch.tensor(true > 0).long())
        gates.append({"gate": kind, "slices": len(compared), "auc": f"{auc:.4f}"})
    write_rows(args.work / "gates.csv", gates)
    best = max(gates, key=lambda row: row["auc"])["gate"]
    cases = []
    for fold in range(args.folds):
        others = [row for row in slices if row["fold"] != str(fold)]
        threshold = choose_threshold(others, best)
        own = [row for row in slices if row["fold"] == str(fold)]
        cases += [case_figures(rows, best, threshold) for rows in by_case(own)]
    write_rows(args.work / "cross_validation.csv", cases)
    threshold = choose_threshold(slices, best)
    summary: dict[str, Any] = {"gate": best, "gates": gates, "threshold": threshold}
    draws = draw_patients([patient_of(row["case"]) for row in cases])
    true = np.array([row["true"] for row in cases], float)
    for name, end in (("dice", ""), ("dice_plain", "_plain")):  # behind the gate, and without it
        figure, both, predicted = (
            np.array([row[key + end] for row in cases], float)
            for key in ("dice", "both", "predicted")
        )
        summary[name] = {
            "mean": ratio_estimate(figure, np.ones(len(figure)), draws)._asdict(),
            "median": median_estimate(figure, draws)._asdict(),
            "pooled": ratio_estimate(2 * both, predicted + true, draws)._asdict(),
        }
    for name, part, whole in (("sensitivity", "passed_tumour", "tumour_slices"),
                              ("specificity", "stopped_healthy", "healthy_slices")):  # fmt: skip
        summary[name] = sum(row[part] for row in cases) / sum(row[whole] for row in cases)
    summary["patients_found"] = sum(row["passed_tumour"] > 0 for row in cases)
    summary["patients"] = len(cases)
    text = json.dumps(summary, indent=2)
    (args.work / "figures.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return best, threshold


def by_case(slices: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    cases = dict.fromkeys(row["case"] for row in slices)
    return [[row for row in slices if row["case"] == case] for case in cases]


def passing(rows: list[dict[str, Any]], kind: str, threshold: float) -> np.ndarray:
    """Which slices of one case the bundle would segment."""
    config = json.loads((find_bundle(BUNDLE) / "configs" / "inference.json").read_text())
    score = np.array([float(row[kind]) for row in rows])
    return passing_slices(score, threshold, margin=config["gate_margin"], gap=config["gate_gap"])


def choose_threshold(slices: list[dict[str, Any]], kind: str) -> float:
    """The highest threshold that misses no patient and few tumour slices; the lowest if none is."""
    good = [THRESHOLDS[0]]
    for threshold in THRESHOLDS:
        passed = [case_figures(rows, kind, threshold) for rows in by_case(slices)]
        found = sum(row["passed_tumour"] for row in passed)
        if found >= SENSITIVITY * sum(row["tumour_slices"] for row in passed) and all(
            row["passed_tumour"] > 0 for row in passed
        ):
            good.append(threshold)
    return float(good[-1])


def case_figures(rows: list[dict[str, Any]], kind: str, threshold: float) -> dict[str, Any]:
    """One case behind the gate, and without it (`_plain`)."""
    true, predicted, both = (
        np.array([int(row[key]) for row in rows]) for key in ("true", "predicted", "both")
    )
    passes = passing(rows, kind, threshold)
    marked = true > 0
    return {
        "case": rows[0]["case"], "fold": rows[0]["fold"], "threshold": threshold,
        "dice": 2 * both[passes].sum() / (predicted[passes].sum() + true.sum()),
        "dice_plain": 2 * both.sum() / (predicted.sum() + true.sum()),
        "true": int(true.sum()), "predicted": int(predicted[passes].sum()),
        "both": int(both[passes].sum()), "predicted_plain": int(predicted.sum()),
        "both_plain": int(both.sum()), "slices": len(rows), "tumour_slices": int(marked.sum()),
        "passed_tumour": int((marked & passes).sum()), "healthy_slices": int((~marked).sum()),
        "stopped_healthy": int((~marked & ~passes).sum()),
    }  # fmt: skip


def install(kind: str, threshold: float, args: argparse.Namespace) -> None:
    """Copy the weights of all patients into the bundle, record their chain and the threshold."""
    root = find_bundle(BUNDLE)
    for training, name in ((SEGMENTER, "model.pt"), (kind, "gate.pt")):
        state = torch.load(folder_of(training, ALL, args) / "weights.pt", weights_only=True)
        (root / "models").mkdir(exist_ok=True)
        save_atomically(state, root / "models" / name)
    last = torch.load(folder_of(SEGMENTER, ALL, args) / "last.pt", weights_only=True)
    change(root / "configs" / "metadata.json", r'"chain_fingerprint": [^,]*',
           f'"chain_fingerprint": "{last["chain_fingerprint"]}"')  # fmt: skip
    change(root / "configs" / "inference.json", r'"gate_threshold": [^,]*',
           f'"gate_threshold": {threshold:g}')  # fmt: skip


def change(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text(encoding="utf-8"), count=1)
    if count != 1:
        raise ValueError(f"{path} has no line like {pattern}")
    path.write_text(changed, encoding="utf-8")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
