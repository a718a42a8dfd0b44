# SPDX-License-Identifier: Apache-2.0
"""One process of a `child.Child`: its pipes, its limits of time and memory, and how it ended."""

import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import psutil

from ..errors import InputError, printable
from ..failures import MORE_MEMORY
from ..scratch import TEMPORARY, prefix, sweep_left
from . import wire
from .available import GIB, available_bytes, killed_for_memory
from .confine import DISK_LEFT_BYTES, THREADS, Applied, Confinement, environment
from .limits import Limits
from .serve import CONFINED, serve

POLL_S = 0.2  # between two looks at time and memory
END_S = 5.0  # for a process to clean up when its input ends, before it is killed
LOOK = "Look at the bundle with `medvol bundle inspect`."
LONGEST_LINE = 4096  # bytes of what a confined process prints that are shown in one line
LAST_LINES = 40  # of what a process printed, that are kept
FEW = 8  # of the folders that a confined process writes into: they lie on one disk mostly
START_S = 60.0  # for a process to start and be confined, also where the disk is slow
LOST = "lost"
ROOT = Path("/")  # where the system says what it did
BOOT = f"import sys; sys.path[:] = sys.argv[1:]; from {serve.__module__} import serve; serve()"


class Lost(Exception):
    """A process died or reached a limit; its arguments are code, reason and remedy."""


class Loss(NamedTuple):
    """How a process was lost, for who looks for the cause.

    Args:
        signal: that ended it, such as "SIGSEGV"; empty where it reached a limit or ended by itself.
        peak_bytes: of memory that it was seen with since its last answer.
        said: the last lines that it printed; none where they were not kept.
    """

    signal: str
    peak_bytes: int
    said: tuple[str, ...]


class Process:
    """One process with its pipes, threads that listen to it, and a temporary folder of its own.

    Args:
        limits, confinement, kept: as for `Child`.

    Raises:
        InputError: E_FAILED, it cannot be confined at all, since it ends.
    """

    def __init__(self, limits: Limits, confinement: Confinement | None, *, kept: bool) -> None:
        self.limits, self.is_confined, self.kept = limits, confinement is not None, kept
        self.peak_bytes, self.said = 0, deque[str](maxlen=LAST_LINES)
        self.memory_bytes = limits.memory_bytes or available_bytes()
        self.killed = killed_for_memory(ROOT)
        sweep_left(Path(tempfile.gettempdir()))
        self.folder = tempfile.mkdtemp(prefix=prefix(TEMPORARY))
        written = (self.folder, *(confinement.write if confinement else ()))
        self.disk_left = {x: min(DISK_LEFT_BYTES, _free(x) // 2) for x in written[:FEW]}
        variables = environment(os.environ) if self.is_confined else {**os.environ}
        crashes = ("-X", "faulthandler") if kept else ()
        command = [sys.executable, *crashes, "-P", "-c", BOOT, *map(str, sys.path)]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self.is_confined or kept else None,
            env={**variables, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self.folder)},
        )  # fmt: skip
        self.id = self.popen.pid
        self.requests = cast("IO[bytes]", self.popen.stdin)
        self.answers = cast("IO[bytes]", self.popen.stdout)
        self.received: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.listeners = [threading.Thread(target=self._listen, daemon=True)]
        if self.popen.stderr is not None:
            self.listeners.append(threading.Thread(target=self._pass_on, daemon=True))
        for listener in self.listeners:
            listener.start()
        self.applied: Applied | None = None
        if confinement is None:
            self.send(None)
        else:
            self._confine(confinement._replace(write=(*confinement.write, self.folder)))

    def _confine(self, confinement: Confinement) -> None:
        self.send(confinement)
        try:
            kind, content = self.received.get(timeout=START_S)
        except queue.Empty:
            kind, content = LOST, None
        if kind != CONFINED:
            self.end()
            raise InputError(
                "E_FAILED", sys.executable, "a process without network did not start.",
                "Try again; if it stays so, report it.",
            )  # fmt: skip
        self.applied = content

    def send(self, content: Any) -> None:
        """Write to the process; one that is gone is found out by `receive`."""
        message = pickle.dumps(content)
        with suppress(OSError):
            self.requests.write(message)
            self.requests.flush()

    def receive(self, since: float) -> tuple[str, Any]:
        """The next answer, or what is told before it.

        Args:
            since: when it began to work on that answer, in s, by `time.monotonic`.

        Raises:
            Lost: the process died, or reached a limit.
        """
        while True:
            try:
                kind, content = self.received.get(timeout=POLL_S)
            except queue.Empty:
                self.check(time.monotonic() - since)
                continue
            if kind == LOST:
                raise self._death()
            return kind, content

    def end(self) -> None:
        """Close its input, wait while it cleans up, kill it if it does not end, and its files."""
        with suppress(OSError):  # a request that it did not take any more
            self.requests.close()
        try:
            self.popen.wait(END_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for listener in self.listeners:
            listener.join(END_S)  # a process that it started may still hold the pipe
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self) -> None:
        with self.answers:
            try:
                while True:
                    kind, content = wire.read(self.answers)
                    self.received.put((kind, content))
            except Exception:  # its end, in the midst of an answer or not, or what is no answer
                self.received.put((LOST, None))

    def _pass_on(self) -> None:
        """What a process prints, without codes that a terminal would obey."""
        with cast("IO[bytes]", self.popen.stderr) as said:
            while line := said.readline(LONGEST_LINE):
                text = printable(line.decode(errors="backslashreplace").rstrip("\r\n"))
                if self.kept:
                    self.said.append(text)
                    continue
                with suppress(OSError, ValueError):  # stderr is closed
                    print(text, file=sys.stderr)

    def loss(self) -> Loss:
        """How it was lost, when `receive` has said so; what it printed at its end is waited for."""
        status = self.popen.poll()
        if status is not None and self.kept:
            self.listeners[-1].join(END_S)
        name = "" if status is None or status >= 0 else _signal(-status)
        return Loss(name, self.peak_bytes, tuple(self.said))

    def check(self, seconds: float) -> None:
        """Look at time and memory.

        Args:
            seconds: that it has worked on the answer, in s.

        Raises:
            Lost: E_FAILED, it took too long or started too many threads; E_TOO_BIG, it took too
                much memory; E_NOSPACE, a confined one filled the disk.
        """
        if self.limits.seconds is not None and seconds > self.limits.seconds:
            raise Lost(
                "E_FAILED", f"it took longer than {self.limits.seconds:g} s.",
                "Allow it more time, or leave it out.",
            )  # fmt: skip
        try:
            process = psutil.Process(self.id)
            used = process.memory_info().rss
            self.peak_bytes = max(self.peak_bytes, used)
            threads = process.num_threads() if self.is_confined else 0
        except psutil.Error:  # it has just ended
            return
        if used > self.memory_bytes:
            raise Lost(
                "E_TOO_BIG", f"it took more than {self.memory_bytes / GIB:.1f} GiB of memory.",
                MORE_MEMORY,
            )  # fmt: skip

        if threads > THREADS:
            raise Lost("E_FAILED", f"it started more than {THREADS} threads.", LOOK)
        if self.is_confined and any(_free(x) < left for x, left in self.disk_left.items()):
            raise Lost("E_NOSPACE", "it filled the disk.", LOOK)

    def _death(self) -> Lost:
        """How the process ended: E_TOO_BIG where the system says that memory ran out."""
        remedy = "Look at the file, or leave it out."
        try:
            status = self.popen.wait(END_S)
        except subprocess.TimeoutExpired:
            return Lost("E_FAILED", "the process that worked on it closed its output.", remedy)
        if status >= 0:
            reason = f"the process that worked on it ended with status {status}."
            return Lost("E_FAILED", reason, remedy)
        word = _signal(-status)
        killed = killed_for_memory(ROOT)
        if word == "SIGKILL" and None not in (killed, self.killed) and killed != self.killed:
            reason = "the system ended the process that worked on it, since memory ran out."
            return Lost("E_TOO_BIG", reason, MORE_MEMORY)
        why = "; perhaps memory ran out" if word == "SIGKILL" else ""
        reason = f"the process that worked on it died (signal {-status}, {word}{why})."
        return Lost("E_FAILED", reason, remedy)


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in {*signal.Signals} else "unknown"


def _free(folder: str) -> int:
    """Bytes that are free on the disk of a folder; 0 where it is not there any more."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
