# SPDX-License-Identifier: Apache-2.0
"""Claims on units: one holder each, taken over when that is gone, here or on another machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from medvol.cohort import claims as module
from medvol.cohort.claims import CLAIMS, SILENT_S, WORKERS, Claims, Process, this_process
from medvol.errors import InputError

KEY = "bundle/site/case 1"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in (CLAIMS, WORKERS):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def own(out: Path) -> Iterator[Claims]:
    with Claims(out, this_process()) as claims:
        yield claims


@pytest.fixture(scope="module")
def dead() -> Process:
    """A process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        started = psutil.Process(ended.pid).create_time()
    return replace(this_process(), worker="dead", pid=ended.pid, started=started)


def held_by(out: Path, holder: Process, *, age_s: float = 0.0) -> None:
    """Let another process have the unit, which gave its last sign of life some time ago."""
    claims = Claims(out, holder)
    claims.works_with(())
    assert claims.take(KEY)
    since = time.time() - age_s
    os.utime(out / WORKERS / f"{holder.worker}.json", (since, since))


def elsewhere() -> Process:
    return Process("elsewhere", "node2", "000000-", os.getpid(), 1.0)


def test_a_unit_has_one_holder_until_it_is_given_back(own: Claims, out: Path) -> None:
    with Claims(out, this_process()) as other:
        claim = own.take(KEY)
        assert claim is not None
        assert claim.after is None
        assert own.holds(claim)
        assert not other.holds(claim)
        assert other.take(KEY) is None
        assert other.take("bundle/other") is not None
        other.release(claim)
        assert other.take(KEY) is None  # it was not the other's
        own.release(claim)
        assert other.take(KEY) is not None
        assert own.take(KEY) is None
        assert len(own.alive()) == 2
    assert len(own.alive()) == 1


def test_what_was_not_given_back_is_still_ones_own(own: Claims) -> None:
    assert own.take(KEY)
    again = own.take(KEY)
    assert again is not None
    assert again.after is None


def test_what_a_dead_process_had_is_taken_over_at_once(
    own: Claims, out: Path, dead: Process
) -> None:
    held_by(out, dead)
    assert [x.worker for x in own.alive()] == [own.own.worker]
    claim = own.take(KEY)
    assert claim is not None
    assert claim.after == dead
    assert own.holds(claim)


def test_another_process_with_the_same_number_is_another(own: Claims, out: Path) -> None:
    held_by(out, replace(own.own, worker="before", started=own.own.started - 3600))
    assert own.take(KEY)


def test_a_process_that_nobody_waited_for_is_gone(own: Claims, out: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        held_by(out, replace(own.own, worker="zombie", pid=process.pid, started=started))
        assert own.take(KEY) is None
        process.send_signal(signal.SIGKILL)
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert own.take(KEY)


def test_what_works_for_a_dead_process_is_ended(own: Claims, out: Path, dead: Process) -> None:
    held_by(out, dead)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        Claims(out, dead).works_with([child.pid, dead.pid])
        assert own.take(KEY)
        assert not psutil.pid_exists(child.pid)


def test_a_process_that_has_the_number_of_a_dead_ones_child_lives(
    own: Claims, out: Path, dead: Process
) -> None:
    held_by(out, dead)
    path = out / WORKERS / "dead.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "children": [[os.getpid(), 1.0]]}))
    assert own.take(KEY)


@pytest.mark.parametrize(("age_s", "free"), [(SILENT_S - 20, False), (SILENT_S + 20, True)])
def test_a_process_elsewhere_is_gone_after_a_long_silence(
    own: Claims, out: Path, age_s: float, free: bool
) -> None:
    held_by(out, elsewhere(), age_s=age_s)
    assert (own.take(KEY) is not None) == free


def test_the_clock_is_that_of_the_disk(
    own: Claims, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by(out, elsewhere())
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert own.take(KEY) is None


@pytest.mark.parametrize(("age_s", "free"), [(0.0, False), (SILENT_S + 20, True)])
def test_a_claim_without_a_holder_is_being_written_or_old(
    own: Claims, age_s: float, free: bool
) -> None:
    claim = own.take(KEY)
    assert claim is not None
    claim.path.write_text("")
    since = time.time() - age_s
    os.utime(claim.path, (since, since))
    assert (own.take(KEY) is not None) == free


def test_of_many_who_take_it_over_one_has_it(out: Path, dead: Process) -> None:
    for _ in range(10):
        held_by(out, dead)
        takers = [Claims(out, replace(this_process(), worker=f"w{n}")) for n in range(8)]
        for taker in takers:
            taker.works_with(())
        found: list[object] = []
        gate = threading.Barrier(len(takers))

        def take(
            taker: Claims, gate: threading.Barrier = gate, found: list[object] = found
        ) -> None:
            gate.wait()
            found.append(taker.take(KEY))

        threads = [threading.Thread(target=take, args=(taker,)) for taker in takers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([x for x in found if x is not None]) == 1
        (claim,) = (out / CLAIMS).iterdir()
        claim.unlink()


def test_one_who_was_late_takes_nothing_away(
    own: Claims, out: Path, dead: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by(out, dead)
    (path,) = (out / CLAIMS).iterdir()
    free = Claims._is_free

    def late(claims: Claims, place: Path, holder: Process | None) -> bool:
        found = free(claims, place, holder)
        path.unlink()
        held_by(out, elsewhere())  # it was taken over since
        return found

    monkeypatch.setattr(Claims, "_is_free", late)
    assert own.take(KEY) is None
    assert json.loads(path.read_text())["worker"] == "elsewhere"
    assert [*(out / CLAIMS).iterdir()] == [path]


def test_one_who_died_while_it_took_over_is_no_obstacle(
    own: Claims, out: Path, dead: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by(out, dead)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", lambda *_: None)
        assert Claims(out, replace(dead, worker="second")).take(KEY)
    (turn,) = (out / CLAIMS).glob("*.turn")
    assert own.take(KEY) is None
    since = time.time() - SILENT_S - 5
    os.utime(turn, (since, since))
    assert own.take(KEY) is None  # it makes room
    assert own.take(KEY)
    assert len([*(out / CLAIMS).iterdir()]) == 1


def test_a_folder_that_is_gone_is_said_and_comes_back(own: Claims, out: Path) -> None:
    claim = own.take(KEY)
    assert claim is not None
    (out / CLAIMS).rename(out / "away")
    with pytest.raises(InputError, match="E_NOSPACE"):
        own.take("bundle/other")
    assert not own.holds(claim)
    own.release(claim)
    (out / "away").rename(out / CLAIMS)
    assert own.holds(claim)


def test_signs_of_life_go_on(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    with Claims(out, this_process()) as claims:
        path = out / WORKERS / f"{claims.own.worker}.json"
        os.utime(path, (1.0, 1.0))
        end = time.monotonic() + 10
        while path.stat().st_mtime == 1.0:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert not path.exists()


def test_one_who_was_taken_for_gone_gives_signs_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    with Claims(out, this_process()) as claims:
        sign = out / WORKERS / f"{claims.own.worker}.json"
        sign.unlink()
        until = time.monotonic() + 10
        while not sign.exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert json.loads(sign.read_text())["pid"] == os.getpid()


def test_a_unit_may_have_a_name_that_is_not_utf8(own: Claims) -> None:
    claim = own.take("bundle/M\udcfcller")
    assert claim is not None
    assert own.holds(claim)
