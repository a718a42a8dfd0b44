# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle backends` measures in a process of its own; what it kept, predictions take."""

import json
from pathlib import Path
from typing import Any

import pytest

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.engine.backends.choose import remembered_backend
from medvol.engine.backends.remembered import LIST
from medvol.engine.settings import EngineSettings
from medvol.progress import Listener, Step
from medvol.sharing import backends

ROW = {
    "backend": "openvino", "seconds": {"torch": 0.02, "openvino": 0.01},
    "left_out": {"torch-channels-last": "it failed."}, "shape": [1, 160, 160],
}  # fmt: skip


class Child:
    """In place of the process that measures: it was asked, and answers."""

    def __init__(self, work: str, *, heard: Listener, **_: Any) -> None:
        assert work == backends.WORK
        heard(Step("load"))
        heard(Step("network", remark="Measuring how fast torch runs the network."))

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, request: backends.Request, **_: Any) -> Any:
        assert request.bundle.name == "chest_xray_pneumonia"
        return ROW


@pytest.fixture(autouse=True)
def _measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))
    monkeypatch.setattr(backends, "Child", Child)


def test_what_was_measured_is_said_and_taken(capsys: pytest.CaptureFixture[str]) -> None:
    spec = read_spec("chest_xray_pneumonia")
    assert main(["bundle", "backends", "chest_xray_pneumonia"]) == 0
    said = capsys.readouterr()
    assert said.err == "medvol: Measuring how fast torch runs the network.\n"
    assert said.out.splitlines() == [
        "a window of 1 x 160 x 160:",
        "  openvino             0.0100 s  will run it",
        "  torch                0.0200 s",
        "  torch-channels-last  left out: it failed.",
    ]
    auto = EngineSettings()
    assert remembered_backend(spec, auto, device="cpu", precision=None) == "openvino"
    assert remembered_backend(spec, auto, device="cpu", precision="bf16") == "torch"


def test_as_json_and_of_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    words = ["--json", "--threads", "3", "--precision", "bf16", "--device", "cpu"]
    assert main(["bundle", "backends", "chest_xray_pneumonia", *words]) == 0
    assert json.loads(capsys.readouterr().out) == ROW
    (kept,) = json.loads((tmp_path / LIST).read_text()).values()
    assert kept == ROW
    spec, three = read_spec("chest_xray_pneumonia"), EngineSettings(threads=3)
    assert remembered_backend(spec, three, device="cpu", precision="bf16") == "openvino"
    assert remembered_backend(spec, three, device="cpu", precision=None) == "torch"


def test_a_gpu_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["bundle", "backends", "chest_xray_pneumonia", "--device", "cuda"]) != 0
    assert "torch sees no GPU" in capsys.readouterr().err


def test_no_thread_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "backends", "chest_xray_pneumonia", "--threads", "0"]) != 0
    assert "--threads is 0; give 1 or more" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []
