# SPDX-License-Identifier: Apache-2.0
"""Who has which unit: a small file per unit at work, which one process makes and no other can.

A claim whose holder is gone is taken over: at once where both run on one machine, else when the
holder's sign of life is old by the clock of the disk, since those of two machines may differ.
"""

import json
import os
import platform
import re
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..failures import write_error
from ..scratch import LATER_S, machine

CLAIMS, WORKERS = "claims", "workers"
BEAT_S = 10.0  # between two signs of life of a process
SILENT_S = 120.0  # after which a process on another machine is gone; network shares keep times back
END_S = 5.0  # for a process that is killed to be gone
_PIDS = Path("/proc/self/ns/pid")  # Linux: the same number may be of several processes elsewhere


@dataclass(frozen=True)
class Process:
    """What tells a process from all others.

    Args:
        worker: name of it as a writer of the ledger, that nobody else has.
        host: name of its machine, for people.
        machine: what tells its machine, container and their last start from others.
        pid: its number there.
        started: when, in seconds since 1970, as that machine has it.
    """

    worker: str
    host: str
    machine: str
    pid: int
    started: float


def this_process() -> Process:
    """This process as a worker, each time under another name."""
    import psutil  # here: it takes a while

    host, pid = platform.node() or "unknown", os.getpid()
    name = f"{re.sub('[^A-Za-z0-9.-]', '_', host)}-{pid}-{secrets.token_hex(4)}"
    return Process(name, host, _place(), pid, psutil.Process().create_time())


@dataclass(frozen=True)
class Claim:
    """A unit that this process has.

    Args:
        key: of the unit.
        path: of the file that says so.
        after: a process had it and is gone.
    """

    key: str
    path: Path
    after: Process | None = None


class Claims:
    """Takes units for this process, which gives signs of life in a `with` block.

    Args:
        out: folder of the cohort, in which `CLAIMS` and `WORKERS` are there.
        own: this process.
    """

    def __init__(self, out: Path, own: Process) -> None:
        self.folder, self.workers, self.own = out / CLAIMS, out / WORKERS, own
        self._beat = self.workers / f"{own.worker}.json"
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._keep_beating, daemon=True)
        self._children: list[tuple[int, float]] = []  # numbers, and when they started

    def __enter__(self) -> "Claims":
        self.works_with(())
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with suppress(OSError):
            self._beat.unlink()

    def works_with(self, children: Sequence[int]) -> None:
        """Say which processes work for this one, so that they do not go on where it is killed.

        Args:
            children: their numbers.

        Raises:
            InputError: E_NOSPACE, it cannot be written.
        """
        self._children = [(pid, started) for pid in children if (started := _started(pid))]
        try:
            self._say()
        except OSError as error:
            raise write_error(self._beat, error) from error

    def take(self, key: str) -> Claim | None:
        """Have a unit; None where another process has it.

        Args:
            key: of the unit.

        Raises:
            InputError: E_NOSPACE, the folder is not there or cannot be written.
        """
        path = self.folder / f"{sha256(os.fsencode(key)).hexdigest()[:32]}.json"
        after = None
        try:
            if not self._make(path):
                seen = _read(path)
                holder = _process(seen)
                if holder is None or holder.worker != self.own.worker:
                    if not self._is_free(path, holder) or not self._taken_over(path, seen):
                        return None
                    after = holder
            return Claim(key, path, after)
        except OSError as error:
            raise write_error(path, error) from error

    def holds(self, claim: Claim) -> bool:
        """Whether a unit is still this process's: one that slept for long may have lost it.

        Args:
            claim: on it.
        """
        holder = _process(_read(claim.path))
        return holder is not None and holder.worker == self.own.worker

    def release(self, claim: Claim) -> None:
        """Let others have a unit; what became of it is on the disk by now.

        Args:
            claim: on it.
        """
        if self.holds(claim):
            with suppress(OSError):  # the folder is not there: this process takes it again
                claim.path.unlink()

    def alive(self) -> list[Process]:
        """The processes that give signs of life, with this one; files of others go."""
        found = []
        for path in sorted(self.workers.glob("*.json")):
            process = _process(_read(path))
            if process is not None and not self._is_gone(process):
                found.append(process)
            elif process is not None or self._age_s(path) > SILENT_S:
                path.unlink(missing_ok=True)
        return found

    def _make(self, path: Path) -> bool:
        """Make a claim; False where there is one."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(handle, json.dumps(asdict(self.own)).encode())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return True

    def _is_free(self, path: Path, holder: Process | None) -> bool:
        """Whether the holder of a claim is gone; of one that was cut, whether it is old."""
        if holder is not None:
            return self._is_gone(holder)
        return path.exists() and self._age_s(path) > SILENT_S

    def _is_gone(self, process: Process) -> bool:
        """Whether a process is gone; what still works for it on this machine is ended."""
        beat = self.workers / f"{process.worker}.json"
        if process.machine == self.own.machine:
            if _runs(process.pid, process.started):
                return False
            if all(_end(*child) for child in _read(beat).get("children", ())):
                return True
        return self._age_s(beat) > SILENT_S

    def _age_s(self, path: Path) -> float:
        """Seconds since a file was touched, by the clock of the disk; of none, very long."""
        try:
            os.utime(self._beat)
        except FileNotFoundError:
            self._say()
        now = self._beat.stat().st_mtime
        try:
            return now - path.stat().st_mtime
        except FileNotFoundError:
            return float("inf")

    def _say(self) -> None:
        """Write the own file, whole."""
        part = self._beat.with_name(f"{self._beat.name}.part")
        part.write_text(json.dumps({**asdict(self.own), "children": self._children}))
        part.replace(self._beat)

    def _taken_over(self, path: Path, seen: dict[str, Any]) -> bool:
        """Put the own claim in place of one whose holder is gone; False where another was sooner.

        One process at a time may do that with that very claim, so that the claim of one who was
        sooner is never replaced.
        """
        which = sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]
        turn = path.with_name(f"{path.stem}-{which}.turn")
        if not self._make(turn):
            if self._age_s(turn) > SILENT_S:  # whoever had it is gone, too
                turn.unlink(missing_ok=True)
            return False
        if _read(path) != seen:
            turn.unlink(missing_ok=True)
            return False
        os.replace(turn, path)
        return True

    def _keep_beating(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(OSError):  # the folder is not there at present
                try:
                    os.utime(self._beat)
                except FileNotFoundError:  # another took this one, which slept, for gone
                    self._say()


def _place() -> str:
    """What tells a machine, or a container with processes of its own, from others."""
    return f"{machine()}-{os.readlink(_PIDS) if _PIDS.exists() else ''}"


def _started(pid: int) -> float | None:
    """When a process of this machine started, in seconds since 1970; None where it does not run."""
    import psutil  # here: it takes a while

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _runs(pid: int, started: float) -> bool:
    """Whether a process of this machine runs, and not another one that has its number now."""
    found = _started(pid)
    return found is not None and abs(found - started) < LATER_S


def _end(pid: int, started: float) -> bool:
    """End a process of this machine; whether it is gone."""
    import psutil  # here: it takes a while

    if _runs(pid, started):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            process.kill()
            process.wait(END_S)
    return not _runs(pid, started)


def _read(path: Path) -> dict[str, Any]:
    """What a file says; nothing where it is not there, or is not written yet."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        return content if isinstance(content, dict) else {}
    return {}


def _process(content: dict[str, Any]) -> Process | None:
    """The process that a file names."""
    try:
        return Process(**{name: content[name] for name in Process.__dataclass_fields__})
    except (KeyError, TypeError):
        return None
