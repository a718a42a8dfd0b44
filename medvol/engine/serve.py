# SPDX-License-Identifier: Apache-2.0
"""The process that `child.Child` starts: it answers requests until its input ends.

Where it is to be confined it is so before it learns what its work is.
"""

import os
import pickle
import queue
import shutil
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, TypeAlias

from ..failures import FAILURES, failure, raised_by_us
from ..progress import Step, heard_by
from ..quiet import quiet_readers
from ..stopping import stoppable
from . import wire
from .confine import Confinement, confine

GRACE_S = 3.0  # for what is being done to clean up when the input ends
ANSWER, RAISED, DONE, TOLD, CONFINED = "answer", "raised", "done", "told", "confined"
# gives an answer to each of some requests, in their order; what it raises ends all of them
Handler: TypeAlias = Callable[[Sequence[Any]], Iterator[Any]]


def serve() -> None:
    """Answer requests until the input ends, then clean up and end.

    Ctrl-C and a closed terminal reach the parent too, which says when to end.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a reader or a bundle prints is not an answer
    quiet_readers()
    sys.stdout = sys.stderr
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    confinement: Confinement | None = pickle.load(requests)
    if confinement is not None:
        wire.write(answers, (CONFINED, confine(confinement)))
    work, setup, folder, is_heard = pickle.load(requests)
    try:
        with stoppable():
            server = _Server(work, setup, answers)
            with heard_by(server.tell if is_heard else None):
                server.run(requests, folder)
    except (KeyboardInterrupt, BrokenPipeError):  # the parent has gone, or wants no more
        pass
    finally:
        _leave(folder)


class _Server:
    """Answers requests, one after the other.

    Args:
        work, setup: as for `child.Child`.
        answers: where they are written.
    """

    def __init__(self, work: str, setup: Any, answers: BinaryIO) -> None:
        self.work, self.setup, self.answers = work, setup, answers
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.busy = False
        self.handler: Handler | None = None
        self.writing = threading.Lock()  # steps are told by any thread

    def tell(self, step: Step) -> None:
        """Say where the work is; one that cannot be said any more is left out."""
        with suppress(OSError):
            self._send(TOLD, step)

    def run(self, requests: BinaryIO, folder: str) -> None:
        """Answer what comes until nothing comes any more."""
        threading.Thread(target=self._listen, args=(requests, folder), daemon=True).start()
        while (batch := self.waiting.get()) is not None:
            self.busy = True
            self._answer(batch)
            self.busy = False

    def _listen(self, requests: BinaryIO, folder: str) -> None:
        """Pass requests on; when there are no more, or no parent, interrupt what is being done."""
        try:
            while True:
                self.waiting.put(pickle.load(requests))
        except Exception:  # the end
            self.waiting.put(None)
            if self.busy:
                _interrupt()
            time.sleep(GRACE_S)
            _leave(folder)

    def _answer(self, requests: Sequence[Any]) -> None:
        try:
            self.handler = self.handler or handler_of(self.work, self.setup)
            for _, answer in zip(requests, self.handler(requests), strict=True):
                self._send(ANSWER, answer)
            self._send(DONE, None)
        except BrokenPipeError:
            raise
        except FAILURES as error:
            misused = isinstance(error, ValueError | ImportError) and raised_by_us(error)
            refusal = ValueError(str(error)) if misused else failure(error, self.work)
            self._send(RAISED, refusal)

    def _send(self, kind: str, content: Any) -> None:
        with self.writing:
            wire.write(self.answers, (kind, content))


def handler_of(work: str, setup: Any) -> Handler:
    """What answers requests.

    Args:
        work, setup: as for `child.Child`.
    """
    module, _, function = work.partition(":")
    handler: Handler = getattr(import_module(module), function)(setup)
    return handler


def echo(setup: str) -> Handler:
    """The smallest work: each request comes back behind the setup.

    Args:
        setup: a word.
    """
    return lambda requests: (f"{setup} {request}" for request in requests)


def _interrupt() -> None:
    """Raise `Stopped` in the main thread, where the system can also out of a call that waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        interrupt_main(signal.SIGTERM)


def _leave(folder: str) -> None:
    """End at once: no thread of a pool is waited for, and no temporary file stays."""
    shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0)
