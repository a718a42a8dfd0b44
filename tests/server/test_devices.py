# SPDX-License-Identifier: Apache-2.0
"""A worker for each GPU, and one where there is one or none."""

from pathlib import Path

import pytest

from medvol.server.devices import VISIBLE, workers_for
from medvol.server.work import Setup, start


@pytest.mark.parametrize(
    ("said", "workers"),
    [("0,1", ["0", "1"]), ("GPU-a, GPU-b,", ["GPU-a", "GPU-b"]), ("3", [""]), ("", [""])],
)
def test_the_environment_says_which_there_are(said: str, workers: list[str]) -> None:
    assert workers_for("auto", variables={VISIBLE: said}) == workers
    assert workers_for("cuda", variables={VISIBLE: said}) == workers
    assert workers_for("cpu", variables={VISIBLE: said}) == [""]


@pytest.mark.parametrize(("gpus", "workers"), [(0, [""]), (1, [""]), (3, ["0", "1", "2"])])
def test_else_the_system_does(tmp_path: Path, gpus: int, workers: list[str]) -> None:
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(gpus))):
        (tmp_path / name).touch()
    assert workers_for("auto", variables={}, folder=tmp_path) == workers


def test_a_worker_sees_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    monkeypatch.setenv(VISIBLE, "0,1")
    start(Setup(str(tmp_path), "cuda", "1"))
    assert os.environ[VISIBLE] == "1"
