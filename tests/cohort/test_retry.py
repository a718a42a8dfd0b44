# SPDX-License-Identifier: Apache-2.0
"""What is forgotten is done again, and nothing else."""

import shutil
from pathlib import Path

import pytest
from cohort_work import WORK, MakeCohort

from medvol.cli import main
from medvol.cohort import retry as module
from medvol.cohort.ledger import DONE, REFUSED
from medvol.cohort.retry import retry
from medvol.cohort.run import tidy
from medvol.cohort.status import status_of
from medvol.cohort.worker import Session, Worker


def test_a_retry_forgets_what_it_is_told_to(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "refuse E_DIMS", "b": "refuse E_PATH", "c": ""})
    with Worker(Session(str(out), WORK)) as worker:
        list(worker.do_many(units))
    log = out / "logs" / f"{units[1].key}.txt"
    assert log.is_file()
    ended = [out / "logs" / "snakemake" / f"{unit.key}.ended" for unit in units]
    for path in ended:  # as Snakemake leaves them
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert retry(out, ["E_PATH"]) == [units[1].key]
    assert not log.exists()
    assert [path.exists() for path in ended] == [True, False, True]
    Path(units[1].path).write_text("")
    with Worker(Session(str(out), WORK)) as worker:
        found = dict(worker.do_many(units))
    assert [state.state for state in found.values() if state] == [REFUSED, DONE, DONE]
    assert main(["cohort", "retry", str(out)]) == 0
    assert status_of(out).counts["planned"] == 1


def test_what_was_taken_away_is_done_again(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": "refuse E_DIMS"})
    with Worker(Session(str(out), WORK)) as worker:
        list(worker.do_many(units))
    shutil.rmtree(out / units[0].key)
    assert retry(out, ["E_DIMS"]) == [units[1].key]
    assert retry(out) == [units[0].key]
    with Worker(Session(str(out), WORK)) as worker:
        state = worker.do(units[0])
    assert state is not None
    assert (state.state, state.new, state.round) == (DONE, True, 1)
    assert retry(out) == []


def test_a_worker_at_work_does_what_it_refused_itself(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "refuse E_DIMS"})
    with Worker(Session(str(out), WORK)) as worker:
        assert worker.do(units[0])
        Path(units[0].path).write_text("")
        assert retry(out) == [units[0].key]
        found = worker.do(units[0])
    assert found is not None
    assert (found.state, found.round) == (DONE, 1)


def test_what_a_retry_said_is_known_after_another_tidies_meanwhile(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, units = make_cohort({"a": "refuse E_DIMS", "b": "refuse E_DIMS"})
    with Worker(Session(str(out), WORK)) as worker:
        list(worker.do_many(units))

    def log_of(folder: Path, key: str) -> Path:
        tidy(folder)
        return folder / "logs" / f"{key}.txt"

    monkeypatch.setattr(module, "log_of", log_of)
    assert len(retry(out)) == 2
    assert status_of(out).counts["planned"] == 2
