# SPDX-License-Identifier: Apache-2.0
"""Segmenter and gate of the brain bundle trained and measured through MONAI, on phantom slices."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from brain_phantoms import make_lgg_set
from monai.bundle import ConfigWorkflow
from tiny_bundle import BRAIN, tiny_brain_bundle

from medvol.cli import main
from medvol.training.curves import read_curves

SMALL = {"epochs": 1, "batch_size": 4, "val_interval": 1, "fold": 0, "patch_size": [32, 32],
         "spacing_mm": 2.0, "precision": "fp32"}  # fmt: skip
GATE = {**SMALL, "repeat": 8, "width": 4}
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lgg")
    source = make_lgg_set(folder / "in", patients=3)
    words = ["data", "lgg", str(source), "-o", str(folder / "datalist.json"), "--folds", "2"]
    assert main(words) == 0
    return folder


def run(*names: str, **options: Any) -> None:
    files = [str(BRAIN / "configs" / f"{name}.json") for name in names]
    given = {"config_file": files, "bundle_root": BRAIN, **options}
    words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", *words], cwd="/", capture_output=True,
        text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("infer", ["inference"]),
        ("train", ["train"]),
        ("train", ["train", "evaluate"]),
        ("train", ["train", "train_gate"]),
    ],
    ids=" ".join,
)
def test_all_properties_of_a_workflow_are_there(
    kind: str, names: list[str], data: Path, tmp_path: Path
) -> None:
    bundle = tiny_brain_bundle(tmp_path / "b") if kind == "infer" else BRAIN
    workflow = ConfigWorkflow(
        config_file=[str(bundle / "configs" / f"{name}.json") for name in names],
        meta_file=str(bundle / "configs" / "metadata.json"), workflow_type=kind,
        logging_file=False, bundle_root=str(bundle), output_dir=str(tmp_path),
        dataset_dir=str(data / "in" if kind == "infer" else data),
    )  # fmt: skip
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.parametrize("name", ["dice_ce", "dice", "focal_tversky", "cross_entropy"])
def test_each_loss_is_a_number_with_a_slope(name: str) -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser(json.loads((BRAIN / "configs" / "train.json").read_text()))
    parser["loss_name"] = name
    loss = parser.get_parsed_content("loss")
    scores = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = loss(scores, torch.ones(2, 1, 8, 8))
    value.backward()
    assert value.item() > 0
    assert scores.grad is not None
    assert float(scores.grad.abs().max()) > 0


@pytest.mark.slow
def test_segmenter_is_trained_and_measured(data: Path, tmp_path: Path) -> None:
    small = {**SMALL, "repeat": 8, "network_def#features": [4, 8, 8, 8, 8], "dataset_dir": data}
    run("train", output_dir=tmp_path / "run", loss_name="focal_tversky", **small)
    names = {point.name for point in read_curves(tmp_path / "run" / "curves.csv")}
    assert names == {"train_loss", "learning_rate", "tumour_dice"}
    weights = tmp_path / "run" / "model.pt"
    run("train", "evaluate", output_dir=tmp_path / "eval", ckpt_path=weights, **small)
    with open(tmp_path / "eval" / "cases.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows][-2:] == ["pooled", "mean"]
    assert {row["region"] for row in rows} == {"tumour"}


@pytest.mark.slow
def test_gate_in_its_two_strategies(data: Path, tmp_path: Path) -> None:
    """A body of slice positions; a new head on it, frozen; then everything from there."""

    def trained(name: str, *configs: str, **options: Any) -> dict[str, torch.Tensor]:
        run("train", "train_gate", *configs, output_dir=tmp_path / name, dataset_dir=data,
            **{**GATE, **options})  # fmt: skip
        state = torch.load(tmp_path / name / "last.pt", weights_only=True)
        torch.save(state["network"], tmp_path / name / "weights.pt")
        network: dict[str, torch.Tensor] = state["network"]
        return network

    body = trained("body", "pretrain_gate", val_interval="$None")
    assert body["head.1.weight"].shape[0] == 8
    head = trained("head", pretrained=tmp_path / "body" / "weights.pt",
                   head_epochs=1, epochs=0)  # fmt: skip
    assert head["head.1.weight"].shape[0] == 2
    frozen = [name for name in body if name.startswith("body.")]
    assert all(torch.equal(body[name], head[name]) for name in frozen)
    fine = trained("fine", pretrained=tmp_path / "head" / "weights.pt", learning_rate=1e-4)
    changed = (fine["body.conv1.weight"] - head["body.conv1.weight"]).abs().max()
    assert 0 < float(changed) < 0.01
    names = {point.name for point in read_curves(tmp_path / "fine" / "curves.csv")}
    assert names == {"train_loss", "learning_rate", "slice_auc"}
