# SPDX-License-Identifier: Apache-2.0
"""A process for what can hang, die or eat memory: readers of foreign files, foreign bundles.

The parent keeps one such process, which holds what takes long to load. Requests and answers go
through its standard input and output, so that it works alike on every system. When it dies, takes
too long or too much memory, the request it was at is refused, and a new one takes the next. It may
do what the user may do, unless it is confined, see `confine`.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from ..errors import InputError
from ..progress import Listener, Step
from .confine import Applied, Confinement
from .limits import UNLIMITED, Limits
from .process import Loss, Lost, Process
from .serve import ANSWER, RAISED, TOLD


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
        kept: what it prints, also of where it crashed, is not shown, but kept for `loss`.
        started: is called with the number of each process when it starts.

    Attributes:
        loss: how the process was lost with the last answer; None where it gave that.
        lost: ids of the processes that had to be replaced.
        ended: ids of all that have ended, also those.

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
        kept: bool = False,
        started: Callable[[int], object] | None = None,
    ) -> None:
        self.work, self.setup, self.heard = work, setup, heard
        self.confinement, self.kept, self.started = confinement, kept, started
        self.limits, self.together = limits, together
        self.loss: Loss | None = None
        self.lost: list[int] = []
        self.ended: list[int] = []
        self._process: Process | None = self._started()
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
            except Lost as error:
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
                    self.loss, process.peak_bytes = None, 0
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
        except Lost:
            self.loss = process.loss()
            raise
        finally:
            if waits:  # lost, or nobody wants the other answers
                self.lost.append(process.id)
                self.close()

    def _started(self) -> "Process":
        process = Process(self.limits, self.confinement, kept=self.kept)
        if self.started is not None:
            self.started(process.id)
        process.send((self.work, self.setup, process.folder, self.heard is not None))
        return process
