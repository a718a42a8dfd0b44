# SPDX-License-Identifier: Apache-2.0
"""A process for what can hang, die or eat memory: readers of foreign files, foreign bundles.

The parent keeps one such process, which holds what takes long to load. Requests and answers go
through its standard input and output, so that it works alike on every system. When it dies, takes
too long or too much memory, the request it was at is refused, and a new one takes the next. It may
do what the user may do, unless it is confined, see `confine`.
"""

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
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import psutil

from ..errors import InputError, printable
from ..failures import MORE_MEMORY
from ..progress import Listener, Step
from ..scratch import TEMPORARY, prefix, sweep_left
from . import wire
from .available import GIB, available_bytes, killed_for_memory
from .confine import DISK_LEFT_BYTES, THREADS, Applied, Confinement, environment
from .limits import UNLIMITED, Limits
from .serve import ANSWER, CONFINED, RAISED, TOLD, serve

POLL_S = 0.2  # between two looks at time and memory
END_S = 5.0  # for a process to clean up when its input ends, before it is killed
LOOK = "Look at the bundle with `medvol bundle inspect`."
LONGEST_LINE = 4096  # bytes of what a confined process prints that are shown in one line
FEW = 8  # of the folders that a confined process writes into: they lie on one disk mostly
START_S = 60.0  # for a process to start and be confined, also where the disk is slow
LOST = "lost"
ROOT = Path("/")  # where the system says what it did
BOOT = f"import sys; sys.path[:] = sys.argv[1:]; from {serve.__module__} import serve; serve()"


class _Lost(Exception):
    """The process died or reached a limit; its arguments are code, reason and remedy."""


class Child:
    """A process that answers requests; it starts at once, and ends with `close` or its parent.

    Args:
        work: "module:function"; the function takes `setup` and gives a `serve.Handler`.
        setup: what it needs, small enough to be pickled, as requests and answers must be.
        limits: of time and memory.
        together: how many requests the handler works on at the same time. When the process dies,
            so many are asked again one by one, to find the one to blame.
        heard: is called with what the work tells of itself, see `medvol.progress`.
        confinement: what the process may reach; None for all that the user may. How far the system
            enforces it is in `applied` then.

    Raises:
        InputError: E_FAILED, a process that is to be confined does not start.

    Example:
        >>> with Child("medvol.engine.serve:echo", "pong") as child:
        ...     child.ask("ping")
        'pong ping'
    """

    def __init__(
        self,
        work: str,
        setup: Any = None,
        *,
        limits: Limits = UNLIMITED,
        together: int = 1,
        heard: Listener | None = None,
        confinement: Confinement | None = None,
    ) -> None:
        self.work, self.setup, self.heard = work, setup, heard
        self.confinement = confinement
        self.limits, self.together = limits, together
        self.lost: list[int] = []  # ids of the processes that had to be replaced
        self.ended: list[int] = []  # ids of all that have ended, also those
        self._process: _Process | None = self._started()
        self.applied: Applied | None = self._process.applied

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def each(
        self, requests: Sequence[Any], *, name: Callable[[Any], str | os.PathLike[str]] = str
    ) -> Iterator[Any]:
        """An answer to each request, in their order.

        Args:
            requests: as the handler takes them.
            name: of the file or folder that a request is about.

        Returns:
            What the handler gives; an `InputError` for a request that the process was lost with:
            E_FAILED, it died or took too long; E_TOO_BIG, it took too much memory, or the system
            ended it since memory ran out.

        Raises:
            InputError, ValueError: the handler raised it, so that no request is answered any more.
        """
        done, alone = 0, 0
        while done < len(requests):
            batch = requests[done : done + 1] if alone else requests[done:]
            answers = self._answers(batch)
            try:
                for answer in answers:
                    done, alone = done + 1, max(0, alone - 1)
                    yield answer
            except _Lost as error:
                if self.together > 1 and len(batch) > 1:
                    alone = self.together
                    continue
                code, reason, remedy = error.args
                yield InputError(code, name(requests[done]), reason, remedy)
                done, alone = done + 1, max(0, alone - 1)
            finally:
                answers.close()

    def ask(
        self, request: Any, *, name: Callable[[Any], str | os.PathLike[str]] = str
    ) -> Any:  # fmt: skip
        """The answer to one request.

        Args:
            request, name: as for `each`.

        Raises:
            InputError, ValueError: as for `each`, also where the process was lost.
        """
        (answer,) = self.each([request], name=name)
        if isinstance(answer, InputError):
            raise answer
        return answer

    def kill(self) -> None:
        """End the process at once, from any thread: what it is at is answered as lost."""
        if (process := self._process) is not None:
            process.popen.kill()

    @property
    def id(self) -> int | None:
        """Number of the process; None where it has ended and no other has started."""
        return None if self._process is None else self._process.id

    def ready(self) -> None:
        """Start a process where none is, or where it died while nothing was asked of it.

        Raises:
            InputError: E_FAILED, a process that is to be confined does not start.
        """
        if self._process is not None and self._process.popen.poll() is not None:
            self.lost.append(self._process.id)
            self.close()
        if self._process is None:
            self._process = self._started()

    def close(self) -> None:
        """End the process; what it has half done is cleaned up, by itself or for it."""
        if self._process is not None:
            self._process.end()
            self.ended.append(self._process.id)
            self._process = None

    def _answers(self, requests: Sequence[Any]) -> Generator[Any]:
        if self._process is None:
            self._process = self._started()
        process, waits, since = self._process, True, time.monotonic()
        process.send(requests)
        try:
            while waits:
                kind, content = process.receive(since)
                if kind == ANSWER:
                    yield content
                    since = time.monotonic()
                    continue
                if kind == TOLD:
                    process.check(time.monotonic() - since)
                    if self.heard is not None and isinstance(content, Step):
                        self.heard(content)
                    continue
                waits = False
                if kind == RAISED:
                    raise content
        finally:
            if waits:  # lost, or nobody wants the other answers
                self.lost.append(process.id)
                self.close()

    def _started(self) -> "_Process":
        process = _Process(self.limits, self.confinement)
        process.send((self.work, self.setup, process.folder, self.heard is not None))
        return process


class _Process:
    """One process with its pipes, threads that listen to it, and a temporary folder of its own.

    Args:
        limits, confinement: as for `Child`.

    Raises:
        InputError: E_FAILED, it cannot be confined at all, since it ends.
    """

    def __init__(self, limits: Limits, confinement: Confinement | None) -> None:
        self.limits, self.is_confined = limits, confinement is not None
        self.memory_bytes = limits.memory_bytes or available_bytes()
        self.killed = killed_for_memory(ROOT)
        sweep_left(Path(tempfile.gettempdir()))
        self.folder = tempfile.mkdtemp(prefix=prefix(TEMPORARY))
        written = (self.folder, *(confinement.write if confinement else ()))
        self.disk_left = {x: min(DISK_LEFT_BYTES, _free(x) // 2) for x in written[:FEW]}
        variables = environment(os.environ) if self.is_confined else {**os.environ}
        command = [sys.executable, "-P", "-c", BOOT, *map(str, sys.path)]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self.is_confined else None,
            env={**variables, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self.folder)},
        )  # fmt: skip
        self.id = self.popen.pid
        self.requests = cast("IO[bytes]", self.popen.stdin)
        self.answers = cast("IO[bytes]", self.popen.stdout)
        self.received: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.listeners = [threading.Thread(target=self._listen, daemon=True)]
        if self.is_confined:
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
            since: when it began to work on that answer, by `time.monotonic`.

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
            listener.join()
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
        """What a confined process prints, without codes that a terminal would obey."""
        with cast("IO[bytes]", self.popen.stderr) as said:
            while line := said.readline(LONGEST_LINE):
                text = line.decode(errors="backslashreplace").rstrip("\r\n")
                with suppress(OSError, ValueError):  # stderr is closed
                    print(printable(text), file=sys.stderr)

    def check(self, seconds: float) -> None:
        """Look at time and memory.

        Args:
            seconds: that it has worked on the answer.

        Raises:
            Lost: a limit is reached.
        """
        if self.limits.seconds is not None and seconds > self.limits.seconds:
            raise _Lost(
                "E_FAILED", f"it took longer than {self.limits.seconds:g} s.",
                "Allow it more time, or leave it out.",
            )  # fmt: skip
        try:
            process = psutil.Process(self.id)
            used = process.memory_info().rss
            threads = process.num_threads() if self.is_confined else 0
        except psutil.Error:  # it has just ended
            return
        if used > self.memory_bytes:
            raise _Lost(
                "E_TOO_BIG", f"it took more than {self.memory_bytes / GIB:.1f} GiB of memory.",
                MORE_MEMORY,
            )  # fmt: skip

        if threads > THREADS:
            raise _Lost("E_FAILED", f"it started more than {THREADS} threads.", LOOK)
        if self.is_confined and any(_free(x) < left for x, left in self.disk_left.items()):
            raise _Lost("E_NOSPACE", "it filled the disk.", LOOK)

    def _death(self) -> _Lost:
        """How the process ended: E_TOO_BIG where the system says that memory ran out."""
        remedy = "Look at the file, or leave it out."
        try:
            status = self.popen.wait(END_S)
        except subprocess.TimeoutExpired:
            return _Lost("E_FAILED", "the process that worked on it closed its output.", remedy)
        if status >= 0:
            reason = f"the process that worked on it ended with status {status}."
            return _Lost("E_FAILED", reason, remedy)
        number = -status
        word = signal.Signals(number).name if number in {*signal.Signals} else "unknown"
        killed = killed_for_memory(ROOT)
        if word == "SIGKILL" and None not in (killed, self.killed) and killed != self.killed:
            reason = "the system ended the process that worked on it, since memory ran out."
            return _Lost("E_TOO_BIG", reason, MORE_MEMORY)
        why = "; perhaps memory ran out" if word == "SIGKILL" else ""
        reason = f"the process that worked on it died (signal {number}, {word}{why})."
        return _Lost("E_FAILED", reason, remedy)


def _free(folder: str) -> int:
    """Bytes that are free on the disk of a folder; 0 where it is not there any more."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
