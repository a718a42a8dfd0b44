# SPDX-License-Identifier: Apache-2.0
"""Which process works on what, so that several can share a folder of trainings.

A claim is a lock of the operating system on a file. It ends with the processes that hold it,
however they end, so nothing has to be cleaned up after a power cut. Needs Linux or macOS.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


class Claim:
    """The right to work in a folder, until `release`.

    A process that inherits `descriptor` has the claim too, and keeps it when this one dies.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        os.close(self.descriptor)


def claim(folder: Path) -> Claim | None:
    """Claim a folder, which is made; None when somebody has it, in this process or another."""
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Claim(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in such a block of this folder, for what takes a moment."""
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
