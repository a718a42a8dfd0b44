# SPDX-License-Identifier: Apache-2.0
"""Each worker of a machine sees one GPU of those that the machine has."""

import os
from pathlib import Path

import pytest

from medvol.cohort.drivers.gpus import VISIBLE, keep_one_gpu, visible_gpus

TWO = "GPU 0: NVIDIA A (UUID: GPU-aa-1)\nGPU 1: NVIDIA A (UUID: GPU-bb-2)"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two GPUs."""
    monkeypatch.setenv(VISIBLE, "")  # so that what is set in a test is gone after it
    monkeypatch.delenv(VISIBLE)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{TWO}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return program


def test_workers_take_turns(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.exists()
    assert visible_gpus() == ["GPU-aa-1", "GPU-bb-2"]
    taken = []
    for number in range(3):
        monkeypatch.delenv(VISIBLE, raising=False)
        keep_one_gpu(number)
        taken.append(os.environ[VISIBLE])
    assert taken == ["GPU-aa-1", "GPU-bb-2", "GPU-aa-1"]


@pytest.mark.parametrize(
    ("given", "kept"), [("3, 5", "5"), ("3", "3"), ("", ""), ("-1", "-1")]
)  # fmt: skip
def test_what_a_batch_system_gave_is_kept_to(
    machine: Path, monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    assert machine.exists()
    monkeypatch.setenv(VISIBLE, given)
    keep_one_gpu(1)
    assert os.environ[VISIBLE] == kept


def test_without_gpus_nothing_is_said(machine: Path) -> None:
    machine.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert visible_gpus() == []
    machine.unlink()
    keep_one_gpu(1)
    assert VISIBLE not in os.environ
