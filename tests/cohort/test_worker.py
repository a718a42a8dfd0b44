# SPDX-License-Identifier: Apache-2.0
"""A worker does units: claims, tries, deaths, what is waited for, and what a stop leaves."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_work import WORK, MakeCohort

from medvol.cohort import waiting
from medvol.cohort.claims import Claim, Claims, Process, this_process
from medvol.cohort.ledger import (
    DONE,
    FAILED,
    LOST,
    PLANNED,
    QUARANTINED,
    REFUSED,
    RUNNING,
    Ledger,
)
from medvol.cohort.plan import Unit
from medvol.cohort.unit import MOST_DEATHS
from medvol.cohort.worker import Said, Session, Worker, _Held
from medvol.engine import child
from medvol.errors import InputError
from medvol.scratch import SCRATCH, machine

NOBODY = 2**22 + 1  # number of a process that no system gives
RealChild = child.Child  # before the fixture of all tests puts another in its place


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_S", "LONGEST_S"):
        monkeypatch.setattr(waiting, name, 0.05)


def states(out: Path) -> dict[str, str]:
    ledger = Ledger(out)
    ledger.refresh()
    return {key.partition("/")[2]: state.state for key, state in ledger.states.items()}


def worker_of(out: Path, said: list[str] | None = None, patience_s: float = 60.0) -> Worker:
    return Worker(Session(str(out), WORK, patience_s=patience_s), (said or []).append)


def lines(out: Path, state: str) -> list[str]:
    found = [json.loads(x) for path in sorted((out / "ledger").iterdir())
             for x in path.read_text().splitlines()]  # fmt: skip
    return [entry["unit"].partition("/")[2] for entry in found if entry["state"] == state]


def test_units_are_done_refused_and_tried_again(make_cohort: MakeCohort) -> None:
    out, units = make_cohort(
        {"a": "", "b": "refuse E_DIMS", "c": "once refuse E_FAILED", "d": "refuse E_FAILED"}
    )
    with worker_of(out) as worker:
        found = dict(worker.do_many(units))
        assert [state.state for state in found.values() if state] == [DONE, REFUSED, FAILED, FAILED]
        done = found[units[0].key]
        assert done is not None
        assert len(done.outputs) == 64
        assert done.peak_bytes == 1000
        assert worker.do(units[2]) == worker.ledger.state(units[2].key)
        last = worker.do(units[3])
        assert [*(out / "claims").iterdir()] == []
    assert states(out) == {"a": DONE, "b": REFUSED, "c": DONE, "d": QUARANTINED}
    assert last is not None
    assert (last.tries, last.code, last.remedy) == (2, "E_FAILED", "Mend it.")
    log = (out / "logs" / f"{units[3].key}.txt").read_text()
    assert log.count("E_FAILED it is refused. Mend it.") == 2
    assert "failed, try 1" in log
    assert "quarantined, try 2" in log
    assert (out / "logs" / f"{units[1].key}.txt").is_file()
    assert not (out / "logs" / f"{units[0].key}.txt").exists()


def test_what_is_ended_is_not_done_again(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": "refuse E_DIMS"})
    slow = worker_of(out)
    with slow, worker_of(out) as fast:
        list(fast.do_many(units))
        again = dict(slow.do_many(units))  # its ledger was read before
        assert [state.state for state in again.values() if state] == [DONE, REFUSED]
    assert lines(out, RUNNING) == ["a", "b"]


def test_what_the_ledger_lost_is_known_by_its_files(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": ""})
    with worker_of(out) as worker:
        first = worker.do(units[0])
    for path in (out / "ledger").iterdir():
        path.unlink()
    with worker_of(out) as worker:
        again = worker.do(units[0])
    assert first is not None
    assert again is not None
    assert (again.state, again.new, again.outputs) == (DONE, False, first.outputs)


def test_what_another_has_is_left(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    with Claims(out, this_process()) as other, worker_of(out) as worker:
        claim = other.take(units[0].key)
        assert claim is not None
        found = dict(worker.do_many(units))
        assert found[units[0].key] is None
        other.release(claim)
        assert worker.do(units[0])


def test_cases_of_one_bundle_are_done_together_and_suspects_alone(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out, _ = make_cohort({"a": ""})
    units = [Unit(case, "x", bundle) for case in "abc" for bundle in ("one", "two")]
    groups: list[list[str]] = []

    def done(held: list[_Held]) -> Iterator[Said]:
        groups.append([one.unit.key for one in held])
        yield from ()

    with worker_of(out) as worker:
        worker.ledger.add("two/b", FAILED, tries=1)
        monkeypatch.setattr(worker, "_begun", lambda unit: Claim(unit.key, tmp_path / "none"))
        monkeypatch.setattr(worker, "_done", done)
        list(worker.do_many(units))
    assert groups == [["one/a", "one/b", "one/c"], ["two/a", "two/c"], ["two/b"]]


def test_a_crash_is_blamed_on_its_case_alone(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, units = make_cohort({"a": "", "b": "", "c": "kill SIGSEGV", "d": "", "e": ""})
    monkeypatch.setattr(child, "Child", RealChild)
    with worker_of(out) as worker:
        found = dict(worker.do_many(units))
        first = worker.do(units[2])
    assert [state.state for state in found.values() if state] == [DONE, DONE, FAILED, DONE, DONE]
    assert first is not None
    assert (first.state, first.signal, first.stage) == (QUARANTINED, "SIGSEGV", "network")
    assert first.tries == 2
    log = (out / "logs" / f"{units[2].key}.txt").read_text()
    assert "signal: SIGSEGV" in log
    assert "last stage: network" in log
    assert "Fatal Python error: Segmentation fault" in log


def test_one_process_does_many(make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch) -> None:
    out, units = make_cohort(dict.fromkeys("abcd", ""))
    monkeypatch.setattr(child, "Child", RealChild)
    with worker_of(out) as worker:
        list(worker.do_many(units[:2]))
        list(worker.do_many(units[2:]))
    assert len({(out / unit.key / "process.txt").read_text() for unit in units}) == 1


@pytest.fixture
def dead() -> Process:
    """A process of this machine that is gone."""
    return replace(this_process(), worker="dead", started=1.0)


def test_deaths_of_workers_cost_no_try_but_are_counted(
    make_cohort: MakeCohort, dead: Process
) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    place = {"host": dead.host, "pid": dead.pid}
    for number in range(MOST_DEATHS):
        gone, ledger = Claims(out, dead), Ledger(out, "dead")
        ledger.refresh()
        gone.works_with([])
        assert all(gone.take(unit.key) for unit in units)
        ledger.add(units[0].key, RUNNING, **place)  # b was claimed, and not begun
        half = out / units[0].key / f"{SCRATCH}{NOBODY}-{machine()}-x"
        half.mkdir(parents=True)
        with worker_of(out) as worker:
            if number < MOST_DEATHS - 1:
                claim = worker._begun(units[0])
                worker.claims.release(claim)  # type: ignore[arg-type]
                assert worker.ledger.state(units[0].key).deaths == number + 1
                assert worker.ledger.state(units[0].key).state == LOST
                assert not half.exists()
            else:
                state = worker.do(units[0])
            claim = worker._begun(units[1])
            worker.claims.release(claim)  # type: ignore[arg-type]
    assert state is not None
    assert (state.state, state.tries) == (QUARANTINED, 0)
    assert state.reason == "its worker died 5 times."
    with worker_of(out) as worker:
        assert worker.do(units[1])
    assert states(out)["b"] == DONE


def test_a_stop_leaves_nothing_half_done(make_cohort: MakeCohort) -> None:
    out, units = make_cohort(dict.fromkeys("abc", ""))
    with worker_of(out) as worker:
        found = worker.do_many(units)
        next(found)
        found.close()
    assert states(out) == {"a": DONE}
    assert [*(out / "claims").iterdir()] == []
    assert [*(out / "workers").iterdir()] == []


def test_one_that_slept_and_lost_its_unit_says_nothing(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, units = make_cohort({"a": ""})
    with worker_of(out) as worker:
        monkeypatch.setattr(worker.claims, "holds", lambda _: False)
        assert worker.do(units[0]) is None
    assert states(out) == {"a": RUNNING}


def after(seconds: float, action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_a_ledger_that_cannot_be_written_is_waited_for(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    said: list[str] = []
    (out / "ledger").rename(out / "away")
    timer = after(0.3, lambda: (out / "away").rename(out / "ledger"))
    with pytest.raises(InputError, match="E_PATH"), worker_of(out):
        pass
    timer.join()
    with Worker(Session(str(out), WORK), said.append) as worker:
        (out / "ledger").rename(out / "away")
        timer = after(0.3, lambda: (out / "away").rename(out / "ledger"))
        list(worker.do_many(units))
        timer.join()
    assert states(out) == {"a": DONE, "b": DONE}
    assert len(said) == 2
    assert said[0].startswith("E_NOSPACE")
    assert said[1] == "it goes on"


def test_an_output_folder_that_is_gone_is_waited_for_and_not_made_again(
    make_cohort: MakeCohort, tmp_path: Path
) -> None:
    out, units = make_cohort({"a": "", "b": "sleep 0.01"})
    away = tmp_path / "away"
    with worker_of(out) as worker:
        assert worker.do(units[0])
        out.rename(away)
        timer = after(0.4, lambda: away.rename(out))
        state = worker.do(units[1])
        timer.join()
    assert state is not None
    assert state.state == DONE
    assert (out / units[1].key / "run.json").is_file()
    assert not away.exists()


@pytest.mark.parametrize("is_empty", [False, True])
def test_images_that_are_all_gone_are_waited_for(
    make_cohort: MakeCohort, tmp_path: Path, is_empty: bool
) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    said: list[str] = []
    images, away = tmp_path / "images", tmp_path / "away"
    images.rename(away)
    if is_empty:  # a place where nothing is mounted
        images.mkdir()

    def mount(line: str) -> None:
        said.append(line)
        if away.exists():
            away.replace(images)

    with Worker(Session(str(out), WORK), mount) as worker:
        list(worker.do_many(units))
    assert states(out) == {"a": DONE, "b": DONE}
    assert said[0].startswith(f"E_PATH {images}: the folder of the images is not there")
    assert said[1:] == ["it goes on"]


def test_one_image_that_is_missing_is_refused(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    Path(units[0].path).unlink()
    with worker_of(out) as worker:
        list(worker.do_many(units))
    assert states(out) == {"a": REFUSED, "b": DONE}


def test_one_unit_that_cannot_be_written_is_refused(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": "", "c": "refuse E_DIMS", "d": ""})
    long = "/".join(["d" * 200] * 21)  # more than a path may have
    units[3] = replace(units[3], case=long)
    results, log = out / units[0].key, out / "logs" / f"{units[2].key}.txt"
    results.parent.mkdir(exist_ok=True)
    results.write_text("a file where the unit needs a folder")
    log.mkdir(parents=True)
    said: list[str] = []
    with worker_of(out, said) as worker:
        found = dict(worker.do_many(units))
    assert states(out) == {"a": REFUSED, "b": DONE, "c": REFUSED, long: REFUSED}
    refused = found[units[0].key]
    assert refused is not None
    assert (refused.code, refused.reason) == (
        "E_NOSPACE", "it could not be written (File exists).",
    )  # fmt: skip
    assert said == []


def test_patience_has_an_end(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "refuse E_NOSPACE", "b": ""})
    since = time.monotonic()
    with pytest.raises(InputError, match="E_NOSPACE"), worker_of(out, patience_s=0.2) as worker:
        list(worker.do_many(units))
    assert 0.2 <= time.monotonic() - since < 20
    assert states(out) == {"a": PLANNED, "b": DONE}
    assert [*(out / "claims").iterdir()] == []


@pytest.mark.parametrize("step", ["_judged", "_ended"])
def test_results_that_went_while_nobody_looked_are_made_again(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    out, units = make_cohort({"a": ""})
    with worker_of(out) as worker:
        does, calls = getattr(worker, step), []

        def gone(*given: object) -> object:
            if not calls:
                shutil.rmtree(out / units[0].key)
            calls.append(given)
            return does(*given)

        monkeypatch.setattr(worker, step, gone)
        state = worker.do(units[0])
    assert state is not None
    assert (state.state, len(calls)) == (DONE, 2)
    assert (out / units[0].key / "run.json").is_file()


def test_no_room_for_the_bundle_itself_is_waited_for(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "once raise E_NOSPACE", "b": "once raise E_TOO_BIG", "c": ""})
    said: list[str] = []
    with Worker(Session(str(out), WORK), said.append) as worker:
        found = dict(worker.do_many(units))
    assert [state.state for state in found.values() if state] == [DONE] * 3
    assert states(out) == dict.fromkeys("abc", DONE)
    assert [line.partition(" ")[0] for line in said] == ["E_NOSPACE", "it", "E_TOO_BIG", "it"]


def test_a_bundle_that_cannot_be_used_ends_the_work(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "raise E_BUNDLE", "b": ""})
    with pytest.raises(InputError, match="E_BUNDLE"), worker_of(out) as worker:
        list(worker.do_many(units))
    assert states(out) == {"a": PLANNED}
