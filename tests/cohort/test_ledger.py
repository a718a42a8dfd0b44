# SPDX-License-Identifier: Apache-2.0
"""The ledger of a cohort: lines of several writers, cut and damaged ones, rounds, compaction."""

import json
import os
from pathlib import Path

import pytest

from medvol.cohort import ledger as module
from medvol.cohort.ledger import (
    AGAIN,
    DONE,
    FAILED,
    LOST,
    PLANNED,
    QUARANTINED,
    REFUSED,
    RUNNING,
    Ledger,
)
from medvol.errors import InputError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / module.FOLDER).mkdir()
    return tmp_path


def read(out: Path) -> Ledger:
    found = Ledger(out)
    found.refresh()
    return found


def later(monkeypatch: pytest.MonkeyPatch, second: int) -> None:
    """Let lines be written at a second of the clock."""

    class Clock:
        @staticmethod
        def now(zone: object) -> "Clock":  # noqa: ARG004
            return Clock()

        def isoformat(self, timespec: str) -> str:  # noqa: ARG002
            return f"2026-01-01T00:00:{second:02}.000+00:00"

    monkeypatch.setattr(module, "datetime", Clock)


def test_what_went_well_is_on_the_disk_within_a_second_and_all_else_at_once(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, on_disk = [100.0], list[str]()
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    written = out / module.FOLDER / "a.jsonl"
    monkeypatch.setattr(module.os, "fsync", lambda _: on_disk.append(written.read_text()))
    ledger = Ledger(out, "a")
    for number, (state, later_s) in enumerate(
        [(RUNNING, 0), (DONE, 0), (DONE, 0.9), (DONE, 0.1), (RUNNING, 5), (FAILED, 0), (DONE, 0.5)]
    ):
        seconds[0] += later_s
        ledger.add(f"b/{number}", state)
    assert [text.count("\n") for text in on_disk] == [2, 4, 6]


def test_what_one_writes_another_reads_as_it_comes(out: Path) -> None:
    writer, reader = Ledger(out, "a"), Ledger(out)
    writer.add("b/x", RUNNING, host="node1", pid=7)
    reader.refresh()
    assert (reader.state("b/x").state, reader.state("b/x").pid) == (RUNNING, 7)
    assert reader.state("b/y").state == PLANNED
    writer.add("b/x", DONE, seconds=1.5, outputs="ab", host="node1")
    assert reader.state("b/x").state == RUNNING
    reader.refresh()
    assert reader.states["b/x"] == writer.states["b/x"]
    assert (reader.state("b/x").seconds, reader.state("b/x").is_ended) == (1.5, True)


def test_a_line_that_is_being_written_is_read_later(out: Path) -> None:
    Ledger(out, "a").add("b/x", DONE)
    path = out / module.FOLDER / "a.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    reader = read(out)
    assert (reader.states, reader.bad_lines) == ({}, 0)
    path.write_bytes(whole)
    reader.refresh()
    assert reader.state("b/x").state == DONE


@pytest.mark.parametrize("change", ["b/y", '"done"', "2026"])
def test_damaged_and_cut_lines_are_counted_and_left_out(
    out: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 1)
    writer = Ledger(out, "a")
    writer.add("b/x", DONE)
    writer.add("b/y", DONE)
    path = out / module.FOLDER / "a.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text("\n".join([first, second.replace(change, change[:-1] + "_"), first[:20], "{}",
                               ""]))  # fmt: skip
    found = read(out)
    assert [*found.states] == ["b/x"]
    assert found.bad_lines == 3


def test_an_end_is_undone_by_nothing_but_a_new_round(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = Ledger(out, "fast"), Ledger(out, "slow")
    later(monkeypatch, 50)  # a clock that is ahead
    fast.add("b/x", RUNNING)
    fast.add("b/x", FAILED, tries=1, code="E_FAILED")
    later(monkeypatch, 10)
    slow.add("b/x", DONE)
    assert read(out).state("b/x").state == DONE
    later(monkeypatch, 20)
    slow.add("b/x", AGAIN)
    found = read(out).state("b/x")
    assert (found.state, found.round, found.tries, found.code) == (AGAIN, 1, 0, "")
    fast.refresh()
    fast.add("b/x", REFUSED, code="E_DIMS")
    assert (read(out).state("b/x").state, read(out).state("b/x").round) == (REFUSED, 1)


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [(DONE, QUARANTINED, DONE), (QUARANTINED, REFUSED, QUARANTINED), (REFUSED, RUNNING, REFUSED),
     (RUNNING, LOST, LOST), (FAILED, RUNNING, RUNNING)],
)  # fmt: skip
def test_the_order_of_files_is_no_matter(
    tmp_path: Path, one: str, other: str, wins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in (("a", "b"), ("b", "a")):
        out = tmp_path / names[0]
        (out / module.FOLDER).mkdir(parents=True)
        for second, (name, state) in enumerate(zip(names, (one, other), strict=True)):
            later(monkeypatch, second)
            Ledger(out, name).add("b/x", state)
        assert read(out).state("b/x").state == wins


def test_tries_and_deaths_are_kept_beside_each_other(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Ledger(out, "a"), Ledger(out, "b")
    later(monkeypatch, 2)
    one.add("b/x", FAILED, tries=1, signal="SIGSEGV", stage="read")
    later(monkeypatch, 1)
    other.add("b/x", LOST, deaths=2)
    found = read(out).state("b/x")
    assert (found.state, found.tries, found.deaths) == (FAILED, 1, 2)
    assert (found.signal, found.stage) == ("SIGSEGV", "read")


def test_compaction_keeps_every_state_and_a_killed_one_doubles_nothing(out: Path) -> None:
    one, other = Ledger(out, "a"), Ledger(out, "b")
    for number in range(20):
        one.add(f"b/{number}", RUNNING)
        one.add(f"b/{number}", [DONE, FAILED][number % 2], seconds=number / 4, tries=number % 2)
    other.add("b/1", AGAIN)
    before = read(out).states
    files = {path.name: path.read_bytes() for path in (out / module.FOLDER).iterdir()}
    keeper = read(out)
    keeper.compact(["a", "b", "was never there"])
    (path,) = (out / module.FOLDER).iterdir()
    assert len(path.read_bytes().splitlines()) == 21
    assert read(out).states == before
    keeper.refresh()
    assert keeper.states == before
    for name, content in files.items():  # as if it was killed before they were taken away
        (out / module.FOLDER / name).write_bytes(content)
    assert read(out).states == before
    read(out).compact(["a"])
    names = sorted(path.name for path in (out / module.FOLDER).iterdir())
    assert names == ["b.jsonl", "compacted-000002.jsonl"]
    assert read(out).states == before


def test_a_disk_that_is_full_leaves_no_half_line(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Ledger(out, "a")
    writer.add("b/x", DONE)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", lambda handle, line: write(handle, line[:30]))
        with pytest.raises(InputError, match="E_NOSPACE"):
            writer.add("b/y", DONE)
    assert writer.state("b/y").state == PLANNED
    writer.add("b/z", DONE)
    found = read(out)
    assert (sorted(found.states), found.bad_lines) == (["b/x", "b/z"], 0)


def test_a_folder_that_is_gone_is_not_made_again(out: Path) -> None:
    writer = Ledger(out, "a")
    writer.add("b/x", DONE)
    (out / module.FOLDER).rename(out / "away")
    with pytest.raises(InputError, match="E_NOSPACE"):
        writer.add("b/y", DONE)
    with pytest.raises(InputError, match="E_PATH"):
        writer.refresh()
    (out / "away").rename(out / module.FOLDER)
    writer.add("b/y", DONE)
    assert sorted(read(out).states) == ["b/x", "b/y"]


def test_a_line_is_json_that_others_can_read(out: Path) -> None:
    Ledger(out, "a").add("b/Zoë", REFUSED, code="E_DIMS", reason='it has "4" axes.')
    (line,) = (out / module.FOLDER / "a.jsonl").read_text("ascii").splitlines()
    entry = json.loads(line)
    assert (entry["unit"], entry["reason"]) == ("b/Zoë", 'it has "4" axes.')
    assert len(entry["crc"]) == 8


def test_a_writer_that_was_compacted_goes_on_in_another_file(out: Path) -> None:
    slept, reader = Ledger(out, "w"), Ledger(out)
    slept.add("a", DONE)
    reader.refresh()
    Ledger(out).compact(["w"])
    slept.add("b", DONE)
    slept.add("c", DONE)
    late = Ledger(out)
    late.refresh()
    reader.refresh()
    assert {*late.states} == {*reader.states} == {"a", "b", "c"}
    assert [path.name for path in sorted(out.glob("ledger/*"))] == [
        "compacted-000001.jsonl", "w-.jsonl",
    ]  # fmt: skip
