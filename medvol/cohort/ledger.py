# SPDX-License-Identifier: Apache-2.0
"""What became of each unit of a cohort: an append-only file per writer, merged on reading.

Appends of several machines to one file are not atomic on a network share, so each process writes a
file of its own, a line a change of state, whole before anything goes on. A line carries a checksum
over the rest of it; what is cut or damaged is counted and left out. A power cut may take the last
`SYNC_S` of what went well: those units are begun again, and found complete by their results.

What the lines say does not depend on their order between files, nor on how often a line is read,
since the clocks of machines differ: `AGAIN` begins a new round of a unit, of a round the state with
the highest rank counts, and tries are counted by the one who had the unit.
"""

import errno
import json
import os
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from sys import intern
from typing import Any

from ..failures import path_error, write_error

FOLDER = "ledger"
COMPACTED = "compacted-"
ANEW = "-"  # behind the name of a writer whose file was compacted while it wrote
PLANNED, RUNNING, DONE, REFUSED = "planned", "running", "done", "refused"
FAILED, QUARANTINED, LOST, AGAIN = "failed", "quarantined", "lost", "again"
RANK = {DONE: 3, QUARANTINED: 2, REFUSED: 1}  # of states that end a unit; of all others 0
STATES = (PLANNED, RUNNING, DONE, REFUSED, FAILED, QUARANTINED, LOST, AGAIN)
SYNC_S = 1.0  # after which what was written is on the disk, too
_SEAL = ', "crc": "'  # behind the rest of a line, before 8 hexadecimal digits


@dataclass(slots=True)
class State:
    """What became of a unit.

    Args:
        state: of `STATES`; a unit that no line names is `PLANNED`.
        time: of that, ISO 8601, UTC.
        round: how often it was begun anew, see `AGAIN`.
        tries: of this round that failed.
        deaths: of workers that had it, in this round.
        code, reason, remedy: why it was refused or failed.
        seconds: that it took, in s, without loading the network.
        peak_bytes: of memory.
        outputs: SHA-256 over its files, see `outputs_sha256`.
        new: False where it was complete already, and was not computed.
        host, pid: of the worker.
        signal: that ended the process, such as "SIGSEGV".
        stage: that it was at then, of `progress.STAGES`.
    """

    state: str = PLANNED
    time: str = ""
    round: int = 0
    tries: int = 0
    deaths: int = 0
    code: str = ""
    reason: str = ""
    remedy: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    outputs: str = ""
    new: bool = True
    host: str = ""
    pid: int = 0
    signal: str = ""
    stage: str = ""

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is done with the unit."""
        return self.state in RANK

    def said(self) -> dict[str, Any]:
        """What a line says of it but unit and time: what differs from one that was not begun."""
        known = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in known.items() if value != getattr(NEW, name)}


NEW = State()
FIELDS = dict.fromkeys(name for name in State.__slots__ if name != "time")


class Ledger:
    """Reads what all writers say of units, and writes for one of them.

    Args:
        out: folder of the cohort, in which `FOLDER` is there.
        writer: name of the own file, which no other process has; empty for one that only reads.

    Attributes:
        states: of units that a line names, by their keys.
        bad_lines: that were left out.
    """

    def __init__(self, out: Path, writer: str = "") -> None:
        self.folder, self.writer = out / FOLDER, writer
        self.states: dict[str, State] = {}
        self.bad_lines = 0
        self._read: dict[str, int] = {}  # name of a file to how many bytes of it are known
        self._cut = False  # the own file ends within a line
        self._is_begun = False  # the own file is there
        self._synced_s = -SYNC_S  # when the own file was last known to be on the disk

    def state(self, key: str) -> State:
        """What became of a unit, as far as was read.

        Args:
            key: of the unit.
        """
        return self.states.get(key, NEW)

    def add(self, key: str, state: str, **said: Any) -> State:
        """Write a line. It is on the disk then, but for `RUNNING`, and `DONE` within `SYNC_S`.

        Args:
            key: of the unit.
            state: of `STATES`.
            said: of the fields of `State`.

        Raises:
            InputError: E_NOSPACE, it cannot be written; nothing stays of it.

        Returns:
            What the unit's state is now.
        """
        before = self.state(key)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"t": now, "unit": key, "state": state, **said}
        if number := before.round + (state == AGAIN):
            entry["round"] = number
        path = self.folder / f"{self.writer}.jsonl"
        if self._is_begun and not path.exists() and self.folder.exists():
            # it was compacted: another took this process, which slept, for gone
            self.writer += ANEW
            path = self.folder / f"{self.writer}.jsonl"
        try:
            self._append(path, _line(entry), sure=self._must_be_sure(state))
        except OSError as error:
            raise write_error(path, error) from error
        self._is_begun = True
        self._take(entry)
        return self.state(key)

    def refresh(self) -> None:
        """Read what was written since the last time, by others too.

        Raises:
            InputError: E_PATH, the folder is not there or does not answer.
        """
        try:
            names = [entry.name for entry in os.scandir(self.folder)]
            names = [name for name in names if name.endswith(".jsonl")]
            replaced: set[str] = set()
            for name in sorted(names, key=lambda x: (not x.startswith(COMPACTED), x)):
                if name not in replaced and name != f"{self.writer}.jsonl":
                    replaced.update(self._read_on(name))
        except OSError as error:
            raise path_error(self.folder, error) from error

    def compact(self, writers: Iterable[str]) -> None:
        """Put what some writers said into one file, in place of theirs.

        A reader that finds both, since this was stopped midway, passes by those that are named.

        Args:
            writers: that write no more; earlier such files are taken along.

        Raises:
            InputError: E_NOSPACE, E_PATH: it cannot be written or read.
        """
        self.refresh()
        older = sorted(self.folder.glob(f"{COMPACTED}*.jsonl"))
        names = [*(f"{writer}.jsonl" for writer in writers), *(path.name for path in older)]
        names = [name for name in names if (self.folder / name).exists()]
        number = max((int(path.stem.removeprefix(COMPACTED)) for path in older), default=0) + 1
        path = self.folder / f"{COMPACTED}{number:06d}.jsonl"
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.write(_line({"replaces": names}))
                file.writelines(
                    _line({"t": x.time, "unit": key, **x.said()}) for key, x in self.states.items()
                )
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error

    def _must_be_sure(self, state: str) -> bool:
        """Whether a line is to outlive a power cut: results say themselves that they are done."""
        if state == DONE:
            return time.monotonic() - self._synced_s >= SYNC_S
        return state != RUNNING

    def _append(self, path: Path, line: bytes, *, sure: bool) -> None:
        """Write a line to a file that is opened each time: so a folder that went is noticed, and
        readers of a network share see the line."""
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            whole = b"\n" + line if self._cut else line
            self._cut = True
            if os.write(handle, whole) < len(whole):  # the disk is full
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sure:
                os.fsync(handle)
                self._synced_s = time.monotonic()
            self._cut = False
        finally:
            os.close(handle)

    def _read_on(self, name: str) -> list[str]:
        """Read what is new in a file; names of files that it takes the place of.

        A line without an end is read when it has one.
        """
        replaced: list[str] = []
        known = self._read.get(name, 0)
        with suppress(FileNotFoundError), (self.folder / name).open("rb") as file:  # else compacted
            file.seek(known)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                known += len(line)
                if line == b"\n":
                    continue
                entry = _entry(line)
                self.bad_lines += not entry
                if "unit" in entry:
                    self._take(entry)
                replaced += entry.get("replaces", ())
        self._read[name] = known
        return replaced

    def _take(self, entry: dict[str, Any]) -> None:
        """Go on with a line."""
        key = entry["unit"]
        before, new = self.states.get(key, NEW), _state(entry)
        if new.round < before.round:
            return
        if new.round == before.round:
            new.tries, new.deaths = max(new.tries, before.tries), max(new.deaths, before.deaths)
            if _weight(new) < _weight(before):
                before.tries, before.deaths = new.tries, new.deaths
                return
        self.states[key] = new


def _state(entry: dict[str, Any]) -> State:
    """The state that a line says; what a later medvol may add is left out."""
    known = {name: value for name, value in entry.items() if name in FIELDS}
    new = State(**known, time=entry["t"])
    new.state, new.host = intern(new.state), intern(new.host)  # of which there are few
    return new


def _weight(state: State) -> tuple[int, str]:
    """By what one state of a round goes before another."""
    return RANK.get(state.state, 0), state.time


def _line(entry: dict[str, Any]) -> bytes:
    body = json.dumps(entry, ensure_ascii=True)[:-1]
    return f'{body}{_SEAL}{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _entry(line: bytes) -> dict[str, Any]:
    """What a line says; nothing where it is damaged."""
    body, _, seal = line.rpartition(_SEAL.encode())
    if not body or seal != b'%08x"}\n' % zlib.crc32(body):
        return {}
    entry: dict[str, Any] = json.loads(line.decode())
    return entry
