# SPDX-License-Identifier: Apache-2.0
"""Work for a child process: what it is asked to do is what readers of foreign files may do."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medvol.engine.confine import Applied
from medvol.engine.process import Loss
from medvol.engine.serve import Handler
from medvol.errors import InputError
from medvol.labels import match_names
from medvol.progress import Listener, Step, heard_by, tell


def start(setup: Any) -> Handler:
    """Does what the words of a request say; the setup "refuse" raises at once."""
    if setup == "refuse":
        raise InputError("E_BUNDLE", "bundle", "it cannot be loaded.", "Mend it.")
    if setup == "misuse":
        match_names({1: "a"}, {2: "b"}, {"c": "b"})
    return _handle


def _handle(requests: Sequence[Any]) -> Iterator[Any]:
    for request in requests:
        yield _do(*request) if isinstance(request, tuple) else request


def start_ahead(_: Any) -> Handler:
    """Works on three requests before it gives the first answer."""

    def handle(requests: Sequence[Any]) -> Iterator[Any]:
        for first in range(0, len(requests), 3):
            yield from list(_handle(requests[first : first + 3]))

    return handle


def _do(word: str, given: Any = None) -> Any:
    if word == "pid":
        return os.getpid()
    if word == "die":
        os.kill(os.getpid(), given)
    if word == "exit":
        os._exit(given)
    if word == "sleep":
        with tempfile.TemporaryDirectory(prefix="medvol-"):
            Path(given).write_text(tempfile.gettempdir())
            time.sleep(60)
    if word == "eat":
        block = bytearray(given)
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(60)
    if word == "print":
        print(given)
        os.write(1, b"raw\n")
        return sys.stdin.read()
    if word == "tell":
        for number in range(given):
            tell(Step("network", number, given, "window"))
    if word == "tell on":
        while True:
            tell(Step("read"))
            time.sleep(0.02)
    if word == "raise":
        raise given
    return None


class InlineChild:
    """A `medvol.engine.child.Child` that works in this process, so that tests are quick."""

    def __init__(
        self, work: str, setup: Any = None, *, heard: Listener | None = None, **_: Any
    ) -> None:
        self.work, self.setup, self.heard = work, setup, heard
        self.handler: Handler | None = None
        self.lost: list[int] = []
        self.ended: list[int] = []
        self.loss: Loss | None = None
        self.applied: Applied | None = None

    def ready(self) -> None:
        """Nothing: it is as long as this process."""

    def __enter__(self) -> "InlineChild":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def each(self, requests: Sequence[Any], **_: Any) -> Iterator[Any]:
        from medvol.engine.serve import handler_of

        self.handler = self.handler or handler_of(self.work, self.setup)
        with heard_by(self.heard):
            for _, answer in zip(requests, self.handler(requests), strict=True):
                yield answer

    def ask(self, request: Any, **_: Any) -> Any:
        (answer,) = self.each([request])
        if isinstance(answer, InputError):
            raise answer
        return answer

    def close(self) -> None:
        self.handler = None
