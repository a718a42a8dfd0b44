# SPDX-License-Identifier: Apache-2.0
"""A process for what can hang, die or eat memory: readers of foreign files, foreign bundles.

The parent keeps one such process, which holds what takes long to load. Requests and answers go
through its standard input and output, so that it works alike on every system. When it dies, takes
too long or too much memory, the request it was at is refused, and a new one takes the next. It may
do what the user may do: it can be ended, but it is not locked in.
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
from typing import IO, Any, NamedTuple, cast

import psutil

from ..errors import InputError
from ..failures import MORE_MEMORY
from ..progress import Listener
from ..scratch import TEMPORARY, prefix, sweep_left
from .available import GIB, available_bytes, killed_for_memory
from .serve import ANSWER, RAISED, TOLD, serve

POLL_S = 0.2  # between two looks at time and memory
END_S = 5.0  # for a process to clean up when its input ends, before it is killed
LOST = "lost"
ROOT = Path("/")  # where the system says what it did
BOOT = f"import sys; sys.path[:] = sys.argv[1:]; from {serve.__module__} import serve; serve()"


class Limits(NamedTuple):
    """What a process may take: seconds for an answer, and bytes of memory; None sets no limit of
    time, and of memory that which is free when the process starts."""

    seconds: float | None = None
    memory_bytes: int | None = None


UNLIMITED = Limits()


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
    ) -> None:
        self.work, self.setup, self.heard = work, setup, heard
        self.limits, self.together = limits, together
        self.lost: list[int] = []  # ids of the processes that had to be replaced
        self.ended: list[int] = []  # ids of all that have ended, also those
        self._process: _Process | None = self._started()

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
                    if self.heard is not None:
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
        return _Process(self.work, self.setup, self.limits, is_heard=self.heard is not None)


class _Process:
    """One process with its pipes, a thread that listens to it, and a temporary folder of its own.

    Args:
        work, setup, limits: as for `Child`.
        is_heard: whether it tells where the work is.
    """

    def __init__(self, work: str, setup: Any, limits: Limits, *, is_heard: bool) -> None:
        self.limits = limits
        self.memory_bytes = limits.memory_bytes or available_bytes()
        self.killed = killed_for_memory(ROOT)
        sweep_left(Path(tempfile.gettempdir()))
        self.folder = tempfile.mkdtemp(prefix=prefix(TEMPORARY))
        command = [sys.executable, "-c", BOOT, *map(str, sys.path)]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self.folder)},
        )  # fmt: skip
        self.id = self.popen.pid
        self.requests = cast("IO[bytes]", self.popen.stdin)
        self.answers = cast("IO[bytes]", self.popen.stdout)
        self.received: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.send((work, setup, self.folder, is_heard))

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
        self.listener.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self) -> None:
        with self.answers:
            try:
                while True:
                    self.received.put(pickle.load(self.answers))
            except Exception:  # its end, in the midst of an answer or not
                self.received.put((LOST, None))

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
            used = psutil.Process(self.id).memory_info().rss
        except psutil.Error:  # it has just ended
            return
        if used > self.memory_bytes:
            raise _Lost(
                "E_TOO_BIG", f"it took more than {self.memory_bytes / GIB:.1f} GiB of memory.",
                MORE_MEMORY,
            )  # fmt: skip

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
