# SPDX-License-Identifier: Apache-2.0
"""What a watch decides: complete, once, again after a stop, and what its ledger keeps of it."""

import json
from pathlib import Path

import pytest
from refusals import full_disk, refused_by

from medvol.dicomweb.found import SeriesFound
from medvol.errors import InputError
from medvol.watch.ledger import NAME, Ledger, opened
from medvol.watch.rules import Rules
from medvol.watch.sources import Item
from medvol.watch.watcher import Watcher, Work

RULES = Rules(modality=("CT",), min_images=10)


class Clock:
    """Time that goes on when a test says so."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def item(images: int = 300, study: str = "1.2", modality: str = "CT") -> Item:
    series = SeriesFound(f"{study}.3", 3, "Lung", modality, "CHEST", images)
    return Item(study, (series,), {series.uid: str(images)})


def watcher(folder: Path, clock: Clock, *, bundle: str = "a 1", **options: object) -> Watcher:
    """One that begins now, with what the ledger says."""
    ledger = Ledger(folder / NAME, clock)
    given = {"settle_s": 60.0, **options}
    return Watcher(ledger, RULES, bundle, **given)  # type: ignore[arg-type]


def end(found: Watcher, work: Work, state: str, **said: object) -> None:
    found.ledger.add(state, study=work.item.study, series=work.series.uid, stamp=work.stamp,
                     bundle=found.bundle, **said)  # fmt: skip


def states(folder: Path) -> list[str]:
    lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["state"] for line in lines]


def test_a_study_is_ready_when_nothing_came_for_long_enough(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock)
    assert list(found.ready([item(100)])) == []
    assert found.due_s == 60
    clock.now += 50
    assert list(found.ready([item(200)])) == []  # it grows
    clock.now += 59
    assert list(found.ready([item(200)])) == []
    assert found.due_s == 1
    clock.now += 1
    (work,) = found.ready([item(200)])
    assert (work.series.uid, work.stamp, found.due_s) == ("1.2.3", "200", None)
    assert states(tmp_path) == ["seen", "seen"]


def test_what_is_done_is_done_once_until_more_comes(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    end(found, work, "started")
    end(found, work, "done")
    assert list(found.ready([item()])) == []
    assert list(watcher(tmp_path, clock, settle_s=0.0).ready([item()])) == []
    assert [x.stamp for x in found.ready([item(301)])] == ["301"]


@pytest.mark.parametrize("state", ["started", "stopped"])
def test_what_was_not_finished_is_done_again_at_once(
    tmp_path: Path, clock: Clock, state: str
) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    end(found, work, state)
    (again,) = watcher(tmp_path, clock, settle_s=0.0).ready([item()])
    assert again == work


def test_what_ends_the_watch_each_time_is_refused(tmp_path: Path, clock: Clock) -> None:
    for _ in range(3):
        found = watcher(tmp_path, clock, settle_s=0.0)
        (work,) = found.ready([item()])
        end(found, work, "started")
    assert list(watcher(tmp_path, clock, settle_s=0.0).ready([item()])) == []
    last = json.loads((tmp_path / NAME).read_text().splitlines()[-1])
    assert (last["state"], last["code"]) == ("refused", "E_FAILED")
    assert "ended 3 times" in last["reason"]


def test_what_was_refused_stays_so(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    end(found, work, "refused", code="E_SERIES")
    clock.now += 1e6
    assert list(found.ready([item()])) == []


@pytest.mark.parametrize("state", ["done", "refused"])
def test_another_version_of_the_bundle_does_it_again_if_asked(
    tmp_path: Path, clock: Clock, state: str
) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    end(found, work, state)
    new = {"bundle": "a 2", "settle_s": 0.0}
    assert list(watcher(tmp_path, clock, **new).ready([item()])) == []  # type: ignore[arg-type]
    renewing = watcher(tmp_path, clock, renew=True, **new)  # type: ignore[arg-type]
    (again,) = renewing.ready([item()])
    end(renewing, again, "done")
    assert list(renewing.ready([item()])) == []


@pytest.mark.parametrize(("state", "only_store"), [("waiting", False), ("not stored", True)])
def test_an_archive_that_failed_is_asked_later_and_later(
    tmp_path: Path, clock: Clock, state: str, only_store: bool
) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    for tries, wait_s in ((1, 60), (2, 120), (3, 240), (20, 3600)):
        end(found, work, state, tries=tries)
        clock.now += wait_s - 1
        assert list(found.ready([item()])) == []
        clock.now += 1
        (again,) = found.ready([item()])
        assert again.only_store == only_store


def test_what_does_not_match_is_passed_by_and_looked_at_with_other_rules(
    tmp_path: Path, clock: Clock
) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    for _ in range(2):
        assert list(found.ready([item(4), item(study="1.9", modality="MR")])) == []
    entries = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    passed = [entry["reason"] for entry in entries if entry["state"] == "passed"]
    assert passed == ["4 images", "modality MR"]
    found.rules = Rules(min_images=4)
    assert len(list(found.ready([item(4), item(study="1.9", modality="MR")]))) == 2


def test_what_was_there_before_is_left_until_more_comes(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    assert found.ledger.is_new
    found.pass_present([item()])
    again = watcher(tmp_path, clock, settle_s=0.0)
    assert not again.ledger.is_new
    assert list(again.ready([item(), item(study="1.9")])) == list(again.ready([item(study="1.9")]))
    assert [work.stamp for work in again.ready([item(301)])] == ["301"]


def test_a_study_that_cannot_be_read_is_refused_once(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock)
    error = InputError("E_TRUNCATED", "a.dcm", "it ends early.", "Copy it again.")
    broken = Item("a", (), {"a": "1"}, error)
    assert list(found.ready([broken])) == []
    assert found.refused == []  # it may still be on its way
    clock.now += 60
    assert list(found.ready([broken])) == []
    assert found.refused == [error]
    assert list(found.ready([broken])) == []
    assert found.refused == []
    assert states(tmp_path) == ["seen", "refused"]


def test_a_line_that_was_cut_is_left_out_and_not_gone_on_with(tmp_path: Path, clock: Clock) -> None:
    found = watcher(tmp_path, clock, settle_s=0.0)
    (work,) = found.ready([item()])
    end(found, work, "done", results=["9.9"])
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"state": "started", "study": "1.2", "ser\n7\n{"')
    again = watcher(tmp_path, clock, settle_s=0.0)
    assert list(again.ready([item()])) == []
    assert again.ledger.known.own == {"9.9"}
    end(again, work, "refused", code="E_SERIES")
    last = watcher(tmp_path, clock).ledger.known
    assert last.series["1.2.3"]["state"] == "refused"
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_watch_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.add("seen", study="1", stamp="2")

        def second() -> None:
            with opened(tmp_path):
                pass

        assert "another medvol watch" in refused_by(second, "E_OUTPUT").reason
    with opened(tmp_path) as ledger:
        assert ledger.known.studies["1"]["stamp"] == "2"


def test_a_ledger_that_cannot_be_written(tmp_path: Path, clock: Clock) -> None:
    ledger = Ledger(tmp_path / NAME, clock)
    with full_disk():
        refused_by(lambda: ledger.add("seen", study="1" * 500, stamp=""), "E_NOSPACE")
    assert ledger.known.studies == {}
