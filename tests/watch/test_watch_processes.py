# SPDX-License-Identifier: Apache-2.0
"""`medvol watch` as a process of its own: killed, started again, and with a bundle with code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from archived import STUDY, WHOLE, ct_study, give
from odd_bundle import odd_bundle
from orthanc import Orthanc

from medvol.cli import main
from medvol.engine import child
from medvol.watch.ledger import NAME

RealChild = child.Child  # before the fixture of all tests puts another in its place
LONGEST_S = 240.0


def states(output: Path) -> list[str]:
    path = output / NAME
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["state"] for line in lines]


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_watch_that_is_killed_goes_on(archive: Orthanc, bundle: Path, tmp_path: Path) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "given")
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = [sys.executable, "-m", "medvol", "watch", archive.address, "--bundle", str(bundle)]
    words += ["--output", str(out), "--store", archive.address, "--settle", "0", "--every", "0.2",
              "--device", "cpu"]  # fmt: skip
    env = {**os.environ, "TMPDIR": str(scratch)}
    for number, (kind, state) in enumerate(((signal.SIGKILL, "started"), (signal.SIGINT, "done"))):
        with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as process:
            until(lambda state=state, most=number: states(out).count(state) > 0  # type: ignore[misc]
                  and states(out).count("started") > most)  # fmt: skip
            process.send_signal(kind)
            _, said = process.communicate(timeout=60)
        assert process.returncode == (-kind if kind == signal.SIGKILL else 130), said
        assert "Traceback" not in said
    assert states(out) == ["seen", "started", "started", "done"]
    assert archive.modalities() == ["CT", "OT", "SEG", "SR"]
    assert [*scratch.iterdir()] == []


@pytest.mark.slow
def test_a_bundle_with_code_reads_what_was_fetched_and_nothing_else(
    archive: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "given")
    monkeypatch.setattr(child, "Child", RealChild)
    bundle = odd_bundle(tmp_path / "bundle", "None")
    words = ["--bundle", str(bundle), "--device", "cpu", "--format", "nii"]
    address = f"{archive.address}/studies/{STUDY}"
    assert main(["predict", address, *words, "--output", str(tmp_path / "one")]) == 0
    once = ["--once", "--settle", "0", "--output", str(tmp_path / "two")]
    assert main(["watch", archive.address, *words, *once]) == 0
    for output in (tmp_path / "one", tmp_path / "two"):
        (record,) = output.glob("*/run.json")
        assert "confinement" in json.loads(record.read_text())
