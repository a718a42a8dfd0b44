# SPDX-License-Identifier: Apache-2.0
"""Dask's workers do the units of a cohort, and lose none when they or the scheduler die."""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cohort_work import WORK, MakeCohort

from medvol.cohort.drivers.dask import DaskDriver, _Handing
from medvol.cohort.ledger import DONE, REFUSED, Ledger
from medvol.cohort.plan import Unit
from medvol.cohort.run import Run
from medvol.cohort.worker import Session
from medvol.errors import InputError

pytest.importorskip("distributed")


class Silent:
    """Shows nothing of how far a cohort is."""

    def counted(self, counts: Mapping[str, int]) -> None: ...

    def exemplars(self, pages: Sequence[Path], whole: object) -> None: ...


def test_workers_share_a_plan_and_one_that_dies_costs_nothing(make_cohort: MakeCohort) -> None:
    words = {f"c{number:02d}": "sleep 0.05" for number in range(24)}
    out, units = make_cohort({**words, "bad": "refuse E_DIMS"})
    said: list[str] = []
    with DaskDriver(Session(str(out), WORK), 2, say=said.append) as driver:
        assert driver.workers == 2
        ends: Counter[int] = Counter()
        killed = 0
        for _, state in driver(iter(units)):
            if state is None or killed:
                continue
            ends[state.pid] += 1
            if ends[state.pid] == 1:  # Ctrl-C is left to the driver
                os.kill(state.pid, signal.SIGINT)
            if ends[state.pid] == 9:  # of a task that began after that
                killed = state.pid
                os.kill(killed, signal.SIGKILL)
        assert killed
        counts = Run(out, units, 2, Silent())(driver)
    assert counts == Counter({DONE: 24, REFUSED: 1})
    ledger = Ledger(out)
    ledger.refresh()
    workers = {state.pid for state in ledger.states.values()}
    assert os.getpid() not in workers
    assert len(workers) >= 2
    assert said[0].startswith("Dask's dashboard: http://127.0.0.1:")


class Client:
    """In place of a client and its cluster: keeps what it is given."""

    def __init__(self, threads: int) -> None:
        self.cluster, self.asked = self, list[int]()
        self.threads, self.given = threads, list[list[str]]()

    def scale(self, number: int) -> None:
        self.asked.append(number)

    def nthreads(self) -> dict[str, int]:
        return {str(number): 1 for number in range(self.threads)}

    def submit(self, _: Any, __: Session, units: list[Unit], **___: Any) -> "Task":
        self.given.append([unit.case for unit in units])
        return Task()


class Task:
    def add_done_callback(self, _: Any) -> None:
        """It never ends."""


def handed(tmp_path: Path, number: int, threads: int, **given: Any) -> list[list[str]]:
    """The tasks that are given out before any has ended."""
    driver = DaskDriver(Session(str(tmp_path)), 1, **given)
    driver.memory_bytes = 1000
    client: Any = Client(threads)
    driver._client = client
    handing = _Handing(driver, client)
    handing._look()
    assert client.asked == [1]  # so that a worker that is gone is started anew
    units = (Unit(f"c{index}", "x", "b", size_bytes=index) for index in range(number))
    handing._submit(units)
    return client.given


def test_few_tasks_are_given_out_at_a_time(tmp_path: Path) -> None:
    # two workers, a task at work and one that comes next; four units each
    assert [len(some) for some in handed(tmp_path, 100_000, 2)] == [4, 4, 4, 4]
    # of few units single ones, so that both workers end at about the same time
    assert handed(tmp_path, 3, 2) == [["c0"], ["c1"], ["c2"]]


def test_so_many_are_at_work_as_fit_into_memory(tmp_path: Path) -> None:
    said: list[str] = []

    # of three workers two may be at work, which take 800 of 1000 bytes, and not a third with 300
    def needs(unit: Unit) -> int:
        return 400 if unit.size_bytes < 2 else 300

    assert handed(tmp_path, 6, 3, needs=needs, say=said.append) == [["c0"], ["c1"]]
    assert len(said) == 1
    assert "memory is short" in said[0]
    # one that does not fit at all is at work alone
    assert handed(tmp_path, 3, 3, needs=lambda _: 2000) == [["c0"]]


def test_a_scheduler_that_is_gone_is_one_line(tmp_path: Path) -> None:
    driver = DaskDriver(Session(str(tmp_path)), "tcp://10.0.0.1:8786")

    class Gone(Client):
        def nthreads(self) -> dict[str, int]:
            raise OSError("closed")

        def cancel(self, _: Any) -> None: ...

    driver._client = Gone(1)
    none: Iterator[Unit] = iter(())
    with pytest.raises(InputError, match="connection to Dask's scheduler was lost") as caught:
        list(driver(none))
    assert caught.value.code == "E_FAILED"
    assert "Run the same command again" in caught.value.remedy
