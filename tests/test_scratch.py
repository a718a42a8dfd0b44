# SPDX-License-Identifier: Apache-2.0
"""What killed processes left is taken away by the next run, and nothing that lives."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medvol import scratch
from medvol.owned import filling
from medvol.scratch import LATER_S, OLD_S, SCRATCH, TEMPORARY, is_left, machine, prefix, sweep_left


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def made(folder: Path, name: str, *, age_s: float = 0.0) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "mask.nii.gz").write_text("half")
    since = time.time() - age_s
    os.utime(path, (since, since))
    return path


def test_what_a_process_that_is_gone_made_is_left(tmp_path: Path, dead: int) -> None:
    assert is_left(made(tmp_path, f"{SCRATCH}{dead}-{machine()}-x"))
    assert is_left(made(tmp_path, f"{TEMPORARY}{dead}-{machine()}-x"))
    assert not is_left(made(tmp_path, f"{prefix()}x"))  # this process lives
    assert not is_left(tmp_path / f"{SCRATCH}{dead}-{machine()}-gone")
    for name in ("mine", f"{SCRATCH}x", f"mine-{SCRATCH}{dead}-{machine()}-x", f"{SCRATCH}{dead}"):
        assert not is_left(made(tmp_path, name))


def test_a_process_that_has_ended_and_is_not_asked_about_is_gone(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert is_left(made(tmp_path, f"{SCRATCH}{ended.pid}-{machine()}-x"))
    ended.wait()


def test_a_number_that_another_process_has_now_says_nothing(tmp_path: Path) -> None:
    started = time.time() - 10 * LATER_S
    path = made(tmp_path, f"{prefix()}x")
    for since, left in ((started - LATER_S - 1, True), (started - LATER_S + 1, False)):
        os.utime(path, (since, since))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("psutil.Process.create_time", lambda _: started)
            assert is_left(path) == left


@pytest.mark.parametrize(("age_s", "left"), [(OLD_S - 60, False), (OLD_S + 60, True)])
def test_what_another_machine_made_is_left_after_a_day(
    tmp_path: Path, dead: int, age_s: float, left: bool
) -> None:
    assert is_left(made(tmp_path, f"{SCRATCH}{dead}-000000-x", age_s=age_s)) == left


def test_the_next_run_takes_it_away(tmp_path: Path, dead: int) -> None:
    made(tmp_path, f"{SCRATCH}{dead}-{machine()}-x")
    (tmp_path / f"{SCRATCH}{dead}-{machine()}-y.json").write_text("half")
    living, own = made(tmp_path, f"{prefix()}x"), made(tmp_path, "mine")
    with filling(tmp_path) as folder:
        (folder / "a.txt").write_text("new")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {living.name, own.name, "a.txt", ".medvol.json"}
    sweep_left(tmp_path / "none")  # nothing is there


def test_another_start_of_the_machine_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine()
    monkeypatch.setattr(scratch.platform, "node", lambda: "elsewhere")
    assert machine() != before
    assert len(machine()) == 6
