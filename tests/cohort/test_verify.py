# SPDX-License-Identifier: Apache-2.0
"""Results of a cohort that are gone, were changed, or come out otherwise are found."""

from pathlib import Path

import pytest
from cohort_work import WORK, MakeCohort

from medvol.cohort import frozen
from medvol.cohort.verify import compared_again, done_units, fault_of, sample
from medvol.cohort.worker import Session, Worker


@pytest.fixture
def done(make_cohort: MakeCohort) -> Path:
    out, units = make_cohort({"a": "write 1", "b": "write 2", "c": "refuse E_DIMS"})
    with Worker(Session(str(out), WORK)) as worker:
        list(worker.do_many(units))
    return out


def faults(out: Path, *, files: bool) -> dict[str, str]:
    found = [fault_of(out, unit, state, files=files) for unit, state in done_units(out)]
    return {fault.key.rpartition("/")[2]: fault.what for fault in found if fault}


def again(out: Path) -> list[str]:
    units = [unit for unit, _ in done_units(out)]
    return [
        f"{x.key.rpartition('/')[2]} {x.what}"
        for x in compared_again(out, frozen.read(out), units, work=WORK)
    ]


def test_what_is_whole_has_no_fault(done: Path) -> None:
    assert [unit.case for unit, _ in done_units(done)] == ["a", "b"]
    assert faults(done, files=True) == {}
    assert again(done) == []


def test_a_file_that_is_gone_is_found_and_one_that_was_changed_by_its_content(done: Path) -> None:
    a, b = (done / unit.key for unit, _ in done_units(done))
    (a / "mask.txt").unlink()
    (b / "mask.txt").write_text("3")
    assert faults(done, files=False) == {"a": "mask.txt is not there."}
    assert faults(done, files=True)["b"] == "mask.txt was changed."


def test_results_of_another_run_are_found(done: Path) -> None:
    a, b = (done / unit.key for unit, _ in done_units(done))
    (a / "run.json").write_text("{}")
    for name in ("run.json", "mask.txt"):
        (b / name).write_bytes((b / name).read_bytes().replace(b"2", b"4"))
    assert faults(done, files=False) == dict.fromkeys(
        "ab", "run.json is not there, or was changed."
    )


def test_what_comes_out_otherwise_is_found(done: Path) -> None:
    a, b = (unit for unit, _ in done_units(done))
    Path(a.path).write_text("write 7")
    Path(b.path).write_text("refuse E_VALUES")
    found = again(done)
    assert found[0] == "a mask.txt comes out otherwise."
    assert found[1].startswith("b this time it is refused: E_VALUES")
    assert faults(done, files=True) == {}  # the cohort's own are as they were


def test_a_sample_rounds_up_and_has_its_seed(done: Path) -> None:
    units = [unit for unit, _ in done_units(done)] * 50
    assert len(sample(units, 0.001, 1)) == 1
    assert len(sample(units, 1.0, 1)) == 100
    assert sample(units, 0.0, 1) == []
