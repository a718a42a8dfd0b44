# SPDX-License-Identifier: Apache-2.0
"""Starting a run or a search over: what an earlier one left is set aside, and nothing is lost."""

import json
import os
from pathlib import Path

from ..errors import InputError
from .launch import LOCK, claim

ENTRIES = {  # record of a run, and of a search, to what these write beside it
    "run.json": (
        *("all", "fold[0-9]*", "draft", "bundle", "summary.json", "cross_validation*.csv"),
        *("figures.csv", "validation_*.csv", "test_*.csv", "top_losses.png", "samples.png"),
        *("gates.csv", "reliability*.png"),
    ),
    "study.db": (
        *("trials", "trials.csv", "best.json", "history.png", "importance.png"),
        *("entries", "leaderboard.csv", "leaderboard.png", "winner.json", "test"),
    ),
}
RUN = "run.json"
ASIDE = "before"  # with a number: where it goes


def entries_of(folder: Path, record: str) -> list[Path]:
    """What is called as what a run or a search writes, of `ENTRIES`."""
    return sorted(path for name in (record, *ENTRIES[record]) for path in folder.glob(name))


def set_aside(folder: Path) -> Path | None:
    """Move what an earlier run or search left into a folder of its own in the same place.

    Args:
        folder: of the run; other files in it stay where they are.

    Returns:
        The new folder; None where there was no earlier run.

    Raises:
        InputError: E_NOSPACE, another process works there.
    """
    records = [name for name in ENTRIES if (folder / name).is_file()]
    if RUN in records and not _is_of_a_run(folder / RUN):
        records.remove(RUN)
    if not records:
        return None
    for lock in folder.rglob(LOCK):
        right = claim(lock.parent)
        if right is None:
            raise InputError("E_NOSPACE", lock.parent, "another process works here.", "Wait.")
        right.release()
    number = 1
    while (target := folder / f"{ASIDE}{number}").exists():
        number += 1
    target.mkdir()
    for path in (path for record in records for path in entries_of(folder, record)):
        os.replace(path, target / path.name)
    return target


def _is_of_a_run(record: Path) -> bool:
    """Whether it is of a run, or damaged; a prediction has a record of that name, too."""
    try:
        return "run" in json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return True
