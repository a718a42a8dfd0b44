# SPDX-License-Identifier: Apache-2.0
"""OpenVINO leaves the process as it needs it: signals are heard after networks came and went."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

NETWORKS_COME_AND_GO = """
import faulthandler, os, signal, torch
from medvol.engine.backends.by_openvino import OpenvinoBackend

def made(channels):
    backend = OpenvinoBackend(torch.nn.Conv3d(1, channels, 3, padding=1).eval(), "fp32")
    backend(torch.zeros(1, 1, 8, 8, 8))
    return backend

faulthandler.enable()  # as pytest does
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
with torch.inference_mode():
    first, second = made(2), made(3)
for backend in (first, second):
    backend.close()
del first, second, backend
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_signals_are_heard_when_networks_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked_python: str
) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))
    done = subprocess.run(
        [forked_python, "-c", NETWORKS_COME_AND_GO], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
