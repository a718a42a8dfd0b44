# SPDX-License-Identifier: Apache-2.0
"""Passes over a plan: exemplars, second tries, what others are at, and the ledger at the end."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_work import WORK, MakeCohort

from medvol.cohort import run as module
from medvol.cohort.claims import Claims, this_process
from medvol.cohort.drivers.serial import Serial
from medvol.cohort.exemplars import Estimate
from medvol.cohort.ledger import DONE, FAILED, PLANNED, QUARANTINED, REFUSED, Ledger
from medvol.cohort.plan import Unit
from medvol.cohort.run import Run, part_of, tidy
from medvol.cohort.worker import Said, Session
from medvol.errors import InputError


class Heard:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.counts: list[dict[str, int]] = []
        self.pages: list[Path] = []
        self.whole: Estimate | None = None

    def counted(self, counts: Mapping[str, int]) -> None:
        self.counts.append(dict(counts))

    def exemplars(self, pages: Sequence[Path], whole: Estimate | None) -> None:
        self.pages, self.whole = [*pages], whole


class Noted(Serial):
    """A serial driver that notes which units it was given in each pass."""

    def __init__(self, out: Path) -> None:
        super().__init__(Session(str(out), WORK))
        self.passes: list[list[str]] = []

    def __call__(self, units: Iterator[Unit]) -> Iterator[Said]:
        self.passes.append([])

        def noted() -> Iterator[Unit]:
            for unit in units:
                self.passes[-1].append(unit.case)
                yield unit

        yield from super().__call__(noted())


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.01)


def test_the_second_try_comes_after_all_others(make_cohort: MakeCohort) -> None:
    out, units = make_cohort(
        {"a": "once refuse E_FAILED", "b": "", "c": "refuse E_FAILED", "d": "refuse E_DIMS"}
    )
    heard = Heard()
    with Noted(out) as driver:
        counts = Run(out, units, 1, heard)(driver)
    assert driver.passes == [["a", "b", "c", "d"], ["a", "c"]]
    assert counts == Counter({DONE: 2, QUARANTINED: 1, REFUSED: 1})
    assert heard.counts[-1] == counts
    with Noted(out) as driver:  # nothing is left
        assert Run(out, units, 1, heard)(driver) == counts
    assert driver.passes == []


def test_exemplars_come_first_with_a_page_and_an_estimate(make_cohort: MakeCohort) -> None:
    out, units = make_cohort(dict.fromkeys("abcdef", ""))
    units = [replace(unit, size_bytes=1) for unit in units]
    heard = Heard()
    with Noted(out) as driver:
        Run(out, units, 2, heard)(driver, first=[units[5], units[2]])
    assert driver.passes == [["f", "c"], ["a", "b", "d", "e"]]
    assert heard.pages == [out / units[0].bundle / "index.html"]
    page = heard.pages[0].read_text()
    assert ">c<" in page
    assert ">a<" not in page
    assert heard.whole is not None
    assert (heard.whole.cases, heard.whole.workers) == (6, 2)
    size = sum(x.stat().st_size for x in (out / units[5].key).iterdir())
    assert heard.whole.size_bytes == pytest.approx(6 * size, rel=0.01)


def test_after_a_stop_what_was_done_is_counted(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": "raise E_BUNDLE", "c": ""})
    work = Run(out, units, 1, Heard())
    with pytest.raises(InputError, match="E_BUNDLE"), Noted(out) as driver:
        work(driver)
    assert work.counts() == Counter({DONE: 1, PLANNED: 2})


def test_pages_that_cannot_be_written_stop_nothing(make_cohort: MakeCohort) -> None:
    out, units = make_cohort(dict.fromkeys("ab", ""))
    heard = Heard()
    (out / units[0].bundle).mkdir()
    (out / units[0].bundle / "index.html").write_text("somebody's own")
    with Noted(out) as driver:
        assert Run(out, units, 1, heard)(driver, first=units[:1]) == Counter({DONE: 2})
    assert heard.pages == []
    assert (out / units[0].bundle / "index.html").read_text() == "somebody's own"


def test_what_another_driver_is_at_is_waited_for(
    make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, units = make_cohort({"a": "", "b": ""})
    pauses: list[float] = []
    with Claims(out, this_process()) as other, Noted(out) as driver:
        claim = other.take(units[0].key)
        assert claim is not None

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                Ledger(out, other.own.worker).add(units[0].key, DONE)
                other.release(claim)

        monkeypatch.setattr(module.time, "sleep", sleep)
        counts = Run(out, units, 1, Heard())(driver)
    assert counts == Counter({DONE: 2})
    assert pauses == [0.02, 0.04, 0.08]
    assert not (out / units[0].key).exists()


def test_parts_are_the_whole_plan_and_do_not_overlap() -> None:
    units = [Unit(str(number), "x", "b") for number in range(10)]
    parts = [part_of(units, number, 3) for number in (1, 2, 3)]
    assert sorted((unit for part in parts for unit in part), key=units.index) == units
    assert [len(part) for part in parts] == [4, 3, 3]
    with pytest.raises(ValueError, match="part is 4 of 3"):
        part_of(units, 4, 3)


def test_what_gone_processes_said_becomes_one_file(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({"a": "", "b": "refuse E_FAILED", "c": ""})
    for some in (units[:1], units[1:2]):
        with Noted(out) as driver:
            list(driver(iter(some)))
    with Noted(out) as living:
        list(living(iter(units[2:])))
        tidy(out)
        names = sorted(path.name for path in (out / "ledger").iterdir())
    assert names == ["compacted-000001.jsonl", f"{living.worker.claims.own.worker}.jsonl"]
    ledger = Ledger(out)
    ledger.refresh()
    assert [ledger.state(unit.key).state for unit in units] == [DONE, FAILED, DONE]
    assert [*(out / "claims").iterdir()] == []
