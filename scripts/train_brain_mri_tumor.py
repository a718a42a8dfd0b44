# SPDX-License-Identifier: Apache-2.0
"""Train and cross-validate the bundle brain_mri_tumor: its gate in two strategies, its segmenter.

    python scripts/train_brain_mri_tumor.py LGG_FOLDER --work runs/brain_mri_tumor

Steps, each skipped when its result is there, so that the script can be stopped at any point and
started again: the datalist; the trainings (`--jobs` at a time), each resumed from its last epoch.

The gate's body starts from weights of others when `--body-weights` names a file (ResNet in
torchvision's layout, such as ImageNet weights); else from a body that has learnt, on the training
patients' slices and without their masks, which part of the head a slice shows. Strategy 1 trains a
new head on the frozen body (`gate_head`); strategy 2 goes on from there with everything at a very
small learning rate (`gate_fine`). `gate_scratch` starts from nothing, to compare.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from medvol.bundle.find import find_bundle
from medvol.training.checkpoint import save_atomically

BUNDLE = "brain_mri_tumor"
ALL = -1
NO_VALIDATION = 100_000  # epochs between two, so that there is none
# what each training is: its configs on top of train.json, and its settings
SEGMENTER = "segmenter"
TRAININGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    SEGMENTER: ([], {}),
    "gate_body": (["train_gate.json", "pretrain_gate.json"], {"epochs": 12}),
    "gate_head": (["train_gate.json"], {"epochs": 4, "freeze_body": True}),
    "gate_fine": (["train_gate.json"], {"epochs": 12, "learning_rate": 1e-4, "keep_head": True}),
    "gate_scratch": (["train_gate.json"], {}),
}
BEGINS_WITH = {"gate_head": "gate_body", "gate_fine": "gate_head"}  # weights of another training


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder that `medvol data lgg` reads")
    parser.add_argument("--work", type=Path, default=Path("runs") / BUNDLE)
    parser.add_argument("--folds", type=int, default=5, choices=[3, 5])
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--strategy-folds", type=int, default=5,
                        help="folds on which the gate's strategies are compared")  # fmt: skip
    parser.add_argument("--body-weights", type=Path, help="of a ResNet in torchvision's layout")
    parser.add_argument("--only", choices=list(TRAININGS), nargs="+", help="these trainings alone")
    parser.add_argument("--only-folds", type=int, nargs="+", help="these folds alone; -1 is all")
    args = parser.parse_args()

    datalist = args.work / "data" / "datalist.json"
    if not datalist.is_file():
        run_medvol("data", "lgg", args.data, "-o", datalist, "--folds", args.folds)
    wanted = [
        (kind, fold)
        for kind in args.only or TRAININGS
        for fold in args.only_folds or [*range(args.folds), ALL]
        if kind != "gate_scratch" or fold in range(args.strategy_folds)
    ]
    chains = [[(SEGMENTER, fold)] for kind, fold in wanted if kind == SEGMENTER]
    chains += [  # one training of a gate needs the one before
        [(kind, fold) for kind, its in wanted if its == fold and kind != SEGMENTER]
        for fold in dict.fromkeys(fold for kind, fold in wanted if kind != SEGMENTER)
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda chain: [train(kind, fold, args) for kind, fold in chain], chains))
    return 0


def folder_of(kind: str, fold: int, args: argparse.Namespace) -> Path:
    work: Path = args.work
    return work / ("all" if fold == ALL else f"fold{fold}") / kind


def train(kind: str, fold: int, args: argparse.Namespace) -> None:
    """One training to its last epoch; `weights.pt` then holds the plain weights."""
    folder = folder_of(kind, fold, args)
    if (folder / "weights.pt").is_file() or (kind == "gate_body" and args.body_weights):
        return
    configs, settings = TRAININGS[kind]
    options = {**settings, "fold": fold, "output_dir": folder.resolve()}
    options["val_interval"] = NO_VALIDATION
    if kind in BEGINS_WITH:
        before = folder_of(BEGINS_WITH[kind], fold, args) / "weights.pt"
        given = args.body_weights if kind == "gate_head" else None
        options["pretrained"] = (given or before).resolve()
    run_bundle(["train.json", *configs], args, options, threads=max(1, cpus() // args.jobs))
    state = torch.load(folder / "last.pt", weights_only=True)
    save_atomically(state["network"], folder / "weights.pt")


def run_bundle(
    configs: Sequence[str], args: argparse.Namespace, options: dict[str, Any], *, threads: int
) -> None:
    """`python -m monai.bundle run` with its output in log.txt beside the results."""
    root = find_bundle(BUNDLE)
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


def cpus() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
