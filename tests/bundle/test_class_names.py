# SPDX-License-Identifier: Apache-2.0
"""Folders of classes that sort otherwise than the bundle's: the right name comes out at the end."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvol.bundle.find import shipped_bundles
from medvol.cli import main

pytestmark = pytest.mark.slow
SIDE = 32
SETTINGS = ("head_epochs=1", "epochs=10", "image_size=32", "depth=18", "width=4", "batch_size=8",
            "precision=fp32", "train#augmentation=[]", "dropout=0.0")  # fmt: skip


def save(folder: Path, name: str, number: int) -> Path:
    """COVID is brighter above, the other below, in noise that makes each picture another one."""
    grey = np.random.default_rng([number, len(name)]).normal(80, 15, (SIDE, SIDE))
    grey[: SIDE // 2 if name == "covid" else None][-SIDE // 2 :] += 100
    path = folder / name / f"{name}{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_what_was_trained_on_healthy_folders_is_called_healthy(tmp_path: Path) -> None:
    for number in range(40):
        for name in ("covid", "no_covid"):
            save(tmp_path / "pictures", name, number)
    datalist = tmp_path / "data" / "datalist.json"
    assert main(["data", "folder", str(tmp_path / "pictures"), "-o", str(datalist)]) == 0
    assert json.loads(datalist.read_text())["labels"] == {"0": "covid", "1": "no_covid"}
    bundle = tmp_path / "chest_xray_covid"
    shutil.copytree(shipped_bundles()[bundle.name], bundle,
                    ignore=shutil.ignore_patterns("source.json"))  # fmt: skip
    inference = json.loads((bundle / "configs" / "inference.json").read_text())
    (bundle / "configs" / "inference.json").write_text(
        json.dumps({**inference, "image_size": SIDE, "depth": 18, "width": 4, "dropout": 0.0})
    )
    run = tmp_path / "run"
    assert main(["train", str(bundle), "--data", str(datalist), "-o", str(run), "--install",
                 "--set", *SETTINGS]) == 0  # fmt: skip
    with open(run / "figures.csv", encoding="utf-8") as file:
        assert [row["accuracy"] for row in csv.DictReader(file)] == ["1.0000", "1.0000"]
    for name in ("covid", "no_covid"):
        new = [str(save(tmp_path / "new", name, number)) for number in range(100, 110)]
        out = tmp_path / "out" / name
        assert main(["predict", *new, "--bundle", str(bundle), "-o", str(out)]) == 0
        with open(out / "cases.csv", encoding="utf-8") as file:
            assert [row["answer"] for row in csv.DictReader(file)] == [name] * 10
    assert main(["evaluate", str(bundle), "--data", str(datalist), "-o", str(tmp_path / "e"),
                 "--no-confounding"]) == 0  # fmt: skip
    summary = json.loads((tmp_path / "e" / "metrics.json").read_text())["summary"]
    assert summary["accuracy"]["value"] == 1.0
