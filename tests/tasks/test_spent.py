# SPDX-License-Identifier: Apache-2.0
"""Where the seconds of a run go."""

import subprocess
import sys
import time

import pytest

from medvol.progress import STAGES
from medvol.tasks.spent import Spent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on when it is told to."""
    now = [100.0]
    monkeypatch.setattr("medvol.tasks.spent.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("medvol.tasks.spent.age_s", lambda: 2.0)
    return now


def test_every_second_up_to_the_record_is_of_one_case(clock: list[float]) -> None:
    spent = Spent(1.5)
    clock[0] += 1.0  # of no stage
    with spent.stage("load"):
        clock[0] += 4.0
    clock[0] += 3.0  # in the network
    first = {"network": 3.0, "write": 0.0}
    spent.complete(first)
    expected = {"start": 3.5, "load": 4.0, "network": 3.0, "write": 0.0, "other": 1.0}
    assert first == expected
    assert list(first) == [stage for stage in STAGES if stage in expected]
    clock[0] += 0.5  # writing, which the first case counts itself
    spent.pass_on(0.5)
    clock[0] += 2.25
    second = {"network": 2.0}
    spent.complete(second)
    assert second == {"network": 2.0, "other": 0.25}


def test_a_process_of_many_runs_has_no_start(clock: list[float]) -> None:
    spent, times = Spent(None), {"read": 1.0}
    clock[0] += 1.0
    spent.complete(times)
    assert times == {"read": 1.0, "other": 0.0}


def test_stages_that_overlap_leave_nothing_over(clock: list[float]) -> None:
    spent, times = Spent(None), {"read": 5.0}  # by several threads
    clock[0] += 1.0
    spent.complete(times)
    assert times["other"] == 0.0


def test_age_is_that_of_the_process() -> None:
    code = "import time; from medvol.tasks.spent import age_s; time.sleep(0.2); print(age_s())"
    started = time.time()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 0.2 <= float(done.stdout) <= time.time() - started + 0.05
