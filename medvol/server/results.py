# SPDX-License-Identifier: Apache-2.0
"""Results of a server: a folder for each key, trusted only while it is as it was written."""

import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..outputs.record import brief
from ..outputs.registry import OUTPUTS, RECORD
from ..owned import FILES, RUN, check_owned, read_record
from ..scratch import SCRATCH, sweep_left
from .refusals import Missing


class Report(NamedTuple):
    """What came of a job.

    Args:
        found: what `run.json` says, see `outputs.record.brief`.
        files: name of each file to what it holds.
        remarks: on how it was found, a sentence each.
    """

    found: Mapping[str, Any]
    files: Mapping[str, str]
    remarks: tuple[str, ...] = ()


class ResultFolders:
    """Where results lie.

    Args:
        folder: of all of them; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition()
        self.held: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        sweep_left(folder)

    def of(self, key: str) -> Path:
        """The folder of the results of a key."""
        return self.folder / key

    @contextmanager
    def alone(self, key: str, *, waits: bool = True) -> Iterator[bool]:
        """Hold the folder of a key: others that ask for it wait, or do without.

        Args:
            key: of the results.
            waits: for others; else the block runs at once, and must leave the folder alone where it
                is given False.
        """
        with self.changed:
            if not waits and key in self.held:
                is_ours = False
            else:
                self.changed.wait_for(lambda: key not in self.held)
                self.held.add(key)
                is_ours = True
        if not is_ours:
            yield False
            return
        try:
            yield True
        finally:
            with self.changed:
                self.held.discard(key)
                self.changed.notify_all()

    def report(self, key: str) -> Report | None:
        """What an earlier job of this key found; None where a file of it is missing or changed."""
        folder = self.of(key)
        record = read_record(folder / RUN)
        if not key or not record:
            return None
        try:
            check_owned(folder, [*record[FILES], RUN])
        except (InputError, OSError):
            return None
        if not all((folder / name).is_file() for name in record[FILES]):
            return None
        return Report(brief(record), described(record), tuple(record.get("remarks", ())))

    def file(self, key: str, name: str) -> Path:
        """Path of a file that a report named.

        Args:
            key: of the results.
            name: of a file of the report.

        Raises:
            Missing: somebody deleted it.
        """
        path = self.of(key) / name
        if not path.is_file():
            raise Missing("file")
        return path

    def discard(self, key: str) -> None:
        """Delete the results of a key, also half written ones; nothing where there are none."""
        if key:
            shutil.rmtree(self.of(key), ignore_errors=True)

    def keep_only(self, keys: Callable[[], Collection[str]]) -> None:
        """Delete all results but those of some keys, and those that a worker is at.

        Args:
            keys: gives those of jobs that are known at this moment.
        """
        known = keys()
        with suppress(OSError):
            for folder in [*self.folder.iterdir()]:
                if folder.name in known or folder.name.startswith(SCRATCH):
                    continue
                with self.alone(folder.name, waits=False) as is_ours:
                    if is_ours and folder.name not in keys():
                        self.discard(folder.name)


def described(record: Mapping[str, Any]) -> dict[str, str]:
    """Name of each file of an answer to what it holds, with the record itself as the last.

    Args:
        record: `run.json`.
    """
    formats = record.get("formats") or OUTPUTS
    holds = {OUTPUTS[name].file: OUTPUTS[name].holds for name in formats if name in OUTPUTS}
    holds.setdefault(RUN, OUTPUTS[RECORD].holds)
    return {name: holds.get(name.partition("/")[0], "") for name in (*record.get(FILES, ()), RUN)}
