# SPDX-License-Identifier: Apache-2.0
"""A training that was killed and started again gives the curve of one that was not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_bundle import SHIPPED

from medvol.cli import main
from medvol.training.curves import read_curves

pytestmark = pytest.mark.slow
EPOCHS = 3
OPTIONS = {
    "epochs": EPOCHS,
    "repeat": 2,
    "val_interval": 1,
    "batch_size": 1,
    "precision": "fp32",  # oneDNN's bf16 gradients differ in their last bits from run to run
    "patch_size": [32, 32, 16],
    "crop_size": [32, 32, 16],
    "spacing_mm": [6.0, 6.0, 8.0],
    "network_def#features": [4, 8, 8, 8, 8],
}


def start(phantoms: Path, output: Path) -> subprocess.Popen[bytes]:
    given = {
        "config_file": SHIPPED / "configs" / "train.json", "bundle_root": SHIPPED,
        "dataset_dir": phantoms, "output_dir": output, **OPTIONS,
    }  # fmt: skip
    words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    return subprocess.Popen(
        [sys.executable, "-m", "monai.bundle", "run", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


def kill_after_first_epoch(training: subprocess.Popen[bytes], output: Path) -> None:
    """As a power cut does, as soon as the state of an epoch is on the disk."""
    try:
        while not (output / "last.pt").is_file():
            assert training.poll() is None
            time.sleep(0.01)
    finally:
        training.kill()
        training.wait()


def test_killed_and_continued_is_as_one_run(tmp_path: Path) -> None:
    phantoms = tmp_path / "phantoms"
    coarse = ["--spacing", "6", "6", "8"]
    assert main(["data", "phantom", "-o", str(phantoms), "--count", "2", *coarse]) == 0
    assert start(phantoms, tmp_path / "whole").wait() == 0
    kill_after_first_epoch(start(phantoms, tmp_path / "parts"), tmp_path / "parts")
    killed_at = torch.load(tmp_path / "parts" / "last.pt", weights_only=True)["epoch"]
    assert killed_at < EPOCHS
    assert start(phantoms, tmp_path / "parts").wait() == 0
    whole, parts = (read_curves(tmp_path / name / "curves.csv") for name in ("whole", "parts"))
    assert len(whole) == 3 * EPOCHS
    assert parts == whole
    last = [
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")
    ]
    assert last[0]["best_metric_epoch"] == last[1]["best_metric_epoch"]
    for name, weights in last[0]["network"].items():
        assert torch.equal(weights, last[1]["network"][name]), name
