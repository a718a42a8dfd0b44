# SPDX-License-Identifier: Apache-2.0
"""How far a cohort is: counts, reasons, rate, and who works."""

import json
import os
import time
from pathlib import Path

import pytest
from cohort_work import MakeCohort

from medvol.cli import main
from medvol.cohort import ledger as lines
from medvol.cohort.claims import SILENT_S, Claims, this_process
from medvol.cohort.ledger import DONE, FAILED, QUARANTINED, REFUSED, RUNNING, Ledger
from medvol.cohort.status import exit_status, status_of


def half_done(make_cohort: MakeCohort) -> Path:
    out, units = make_cohort(dict.fromkeys("abcdefg", ""))
    ledger = Ledger(out, "w")
    keys = [unit.key for unit in units]
    for key in keys[:2]:
        ledger.add(key, DONE)
    ledger.add(keys[2], REFUSED, code="E_DIMS")
    ledger.add(keys[3], QUARANTINED, code="E_FAILED", tries=2, remedy="Look at the log.")
    ledger.add(keys[4], FAILED, code="E_FAILED", tries=1)
    ledger.add(keys[5], RUNNING)
    return out


def test_units_are_counted_by_state_and_code(
    make_cohort: MakeCohort, capsys: pytest.CaptureFixture[str]
) -> None:
    out = half_done(make_cohort)
    with (out / "ledger" / "w.jsonl").open("a") as file:
        file.write("half a line\n")
    assert main(["cohort", "status", str(out), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["states"] == {
        "done": 2, "running": 1, "planned": 1, "failed": 1, "refused": 1, "quarantined": 1,
    }  # fmt: skip
    assert said["why"] == [
        {"code": "E_DIMS", "state": "refused", "units": 1, "remedy": ""},
        {"code": "E_FAILED", "state": "quarantined", "units": 1, "remedy": "Look at the log."},
    ]
    assert (said["units"], said["bad_lines"], said["left_s"]) == (7, 1, None)
    assert main(["cohort", "status", str(out)]) == 1
    text = capsys.readouterr().out
    assert text.startswith(
        "7 cases: 2 done, 1 running, 1 planned, 1 failed, 1 refused, 1 quarantined\n"
    )
    assert "1 refused E_DIMS: Give one whole volume" in text  # no line of the ledger says more
    assert "1 quarantined E_FAILED: Look at the log.\n" in text
    assert "1 damaged lines" in text


def test_the_rate_is_that_of_the_last_units(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, units = make_cohort(dict.fromkeys("abcdef", ""))
    ledger = Ledger(out, "w")
    for second, unit in enumerate(units[:4]):

        class Clock:
            @staticmethod
            def now(zone: object, second: int = second) -> "Clock":  # noqa: ARG004
                Clock.second = second
                return Clock()

            def isoformat(self, timespec: str) -> str:  # noqa: ARG002
                return f"2026-01-01T00:{10 * Clock.second:02}:00.000+00:00"

        monkeypatch.setattr(lines, "datetime", Clock)
        ledger.add(unit.key, DONE)
    with Claims(out, this_process()) as claims:
        found = status_of(out)
        assert found.rate == pytest.approx(6.0)
        assert found.left_s == pytest.approx(1200.0)
        (sign,) = found.workers
        assert (sign.pid, sign.host) == (os.getpid(), claims.own.host)
        old = time.time() - SILENT_S - 1
        os.utime(next((out / "workers").iterdir()), (old, old))
        assert status_of(out).workers == []
        assert status_of(out).left_s is None


def test_the_exit_status_says_what_is_left() -> None:
    assert exit_status({DONE: 2, REFUSED: 0}) == 0
    assert exit_status({DONE: 2, QUARANTINED: 1}) == 2
    assert exit_status({DONE: 2, REFUSED: 1, FAILED: 1}) == 1


def test_a_folder_without_a_cohort_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cohort", "status", str(tmp_path)]) == 2
    assert "E_PATH" in capsys.readouterr().err


def test_a_worker_that_ends_meanwhile_is_no_fault(make_cohort: MakeCohort) -> None:
    out, _ = make_cohort({"a": ""})
    (out / "workers" / "ended.json").symlink_to("nothing")
    assert status_of(out).workers == []
