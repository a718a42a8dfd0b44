# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGHUP stop medvol as Ctrl-C does: what is half done is cleaned up on the way out."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# the second is a closed terminal; Windows has the third in its place
NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")


class Stopped(KeyboardInterrupt):
    """The process was asked to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the main thread when a signal asks this process to end.

    Only the first signal counts, so that another does not break into the cleaning up. One that is
    ignored (by `nohup`) stays ignored. In another thread than the main one nothing is changed.

    Raises:
        Stopped: a signal came.
    """
    before: dict[int, Any] = {}

    def stop(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    if threading.current_thread() is threading.main_thread():
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.getsignal(number)
                signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
