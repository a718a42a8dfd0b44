# SPDX-License-Identifier: Apache-2.0
"""What a watch has seen and done, a line of JSON each: read again when it starts again.

A line is written whole and reaches the disk before anything goes on, so that a watch that was
killed knows what it was at. A last line that is cut is left out. The file says by UIDs which study
is meant, so that somebody can look into the archive; nobody but its owner may read it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..failures import write_error

NAME = "watch.jsonl"
SEEN, PASSED, STARTED, DONE = "seen", "passed", "started", "done"
REFUSED, WAITING, UNSTORED, STOPPED = "refused", "waiting", "not stored", "stopped"
Entry = dict[str, Any]


@dataclass
class Known:
    """What the ledger says now.

    Args:
        studies: to their last entry of `SEEN`.
        passed: studies to their last entry of `PASSED`.
        series: UID to its last entry of the other states.
        starts: UID of a series to how often it was begun since it last came to an end.
        own: SeriesInstanceUIDs of results.
    """

    studies: dict[str, Entry] = field(default_factory=dict)
    passed: dict[str, Entry] = field(default_factory=dict)
    series: dict[str, Entry] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    def take(self, entry: Entry) -> None:
        """Go on with one entry."""
        state = entry.get("state")
        if state == SEEN:
            self.studies[entry["study"]] = entry
        elif state == PASSED:
            self.passed[entry["study"]] = entry
        else:
            uid = entry["series"]
            self.starts[uid] = self.starts.get(uid, 0) + 1 if state == STARTED else 0
            self.series[uid] = entry
            self.own.update(entry.get("results", ()))


class Ledger:
    """The file, and what it says; `opened` makes sure that one watch alone writes it.

    Args:
        path: of the file.
        clock: seconds since 1970, of entries.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        self.known = Known()
        self.is_new = not path.is_file()
        for entry in _entries(path):
            self.known.take(entry)

    def add(self, state: str, **said: Any) -> Entry:
        """Write an entry.

        Args:
            state: of the module's words.
            said: what JSON knows; `study`, and of a series `series`.

        Raises:
            InputError: E_NOSPACE, it cannot be written.
        """
        now = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "state": state, **said}
        line = (json.dumps(entry, ensure_ascii=True) + "\n").encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab") as file:
                if _is_cut(self.path):
                    line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(handle)
        except OSError as error:
            raise write_error(self.path, error) from error
        self.known.take(entry)
        return entry


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """The ledger in a folder of results, for one watch at a time.

    Raises:
        InputError: E_OUTPUT, another watch has it; E_NOSPACE, the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / f"{NAME}.lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            "E_OUTPUT", folder, "another medvol watch writes here.",
            "End it first, or choose another output folder.",
        ) from None  # fmt: skip
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield Ledger(folder / NAME)
    finally:
        lock.release()


def _entries(path: Path) -> Iterator[Entry]:
    """The entries of a file; what is no entry is left out."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if _is_entry(entry):
                yield entry


def _is_entry(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("study"), str):
        return False
    of_study = content.get("state") in (SEEN, PASSED) and isinstance(content.get("stamp"), str)
    return of_study or isinstance(content.get("series"), str)


def _is_cut(path: Path) -> bool:
    """Whether the last line of a file has no end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"
