# SPDX-License-Identifier: Apache-2.0
"""Starting over keeps what was there, and touches nothing that is not of a run."""

from pathlib import Path

import pytest
from refusals import refused_by

from medvol.search.launch import claim
from medvol.search.start_over import set_aside


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


RUN = ("run.json", "summary.json", "fold0/model/last.pt", "all/model/notes.txt", "bundle/a.pt")


def test_a_run_moves_whole_and_other_files_stay(tmp_path: Path) -> None:
    folder = filled(tmp_path, *RUN, "notes.txt", "folder/fold0.csv", "trials.csv")
    for number in (1, 2):
        assert set_aside(folder) == folder / f"before{number}"
        moved = [f"before{number}/{name}" for name in RUN]
        assert set(moved) <= set(files_of(folder))
        assert (folder / "trials.csv").is_file()  # of a search, and there is no record of one
        filled(folder, *RUN)
    assert (folder / "notes.txt").read_text() == "notes.txt"


def test_without_a_record_nothing_moves(tmp_path: Path) -> None:
    filled(tmp_path, *RUN[1:])
    assert set_aside(tmp_path) is None
    assert files_of(tmp_path) == sorted(RUN[1:])


@pytest.mark.parametrize(
    ("text", "moves"), [('{"run": {}}', True), ("", True), ('{"files": {}}', False)]
)
def test_a_damaged_run_moves_and_a_prediction_stays(text: str, moves: bool, tmp_path: Path) -> None:
    filled(tmp_path, "bundle/a.pt")
    (tmp_path / "run.json").write_text(text)
    assert (set_aside(tmp_path) is not None) == moves
    assert (tmp_path / "bundle" / "a.pt").is_file() != moves


def test_a_search_moves_too(tmp_path: Path) -> None:
    names = ["study.db", "trials/0000/last.pt", "best.json", "leaderboard.csv"]
    filled(tmp_path, *names, "mine.json")
    set_aside(tmp_path)
    assert files_of(tmp_path) == sorted([*(f"before1/{name}" for name in names), "mine.json"])


def test_where_another_process_works_nothing_moves(tmp_path: Path) -> None:
    filled(tmp_path, *RUN)
    right = claim(tmp_path / "fold0" / "model")
    assert right is not None
    refused_by(lambda: set_aside(tmp_path), "E_NOSPACE")
    assert set(RUN) <= set(files_of(tmp_path))
    right.release()
    assert set_aside(tmp_path) is not None
