# SPDX-License-Identifier: Apache-2.0
"""Landlock of Linux: which files a process may read, and which it may write.

See https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .seccomp import no_new_rights

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on every machine
ASK_VERSION = 1
BELOW_A_PATH = 1
(
    EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, REMOVE_FOLDER, REMOVE_FILE, MAKE_DEVICE,
    MAKE_FOLDER, MAKE_FILE, MAKE_SOCKET, MAKE_FIFO, MAKE_BLOCK_DEVICE, MAKE_LINK, MOVE, CUT,
) = (1 << bit for bit in range(15))  # fmt: skip
KNOWN = {2: (1 << 14) - 1, 3: (1 << 15) - 1}  # version of Landlock -> what it can restrict
SCOPED, SIGNALS_AND_SOCKETS = 6, 0b11  # from this version also other processes can be kept away
READ = READ_FILE | READ_FOLDER
WRITE = READ | WRITE_FILE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | MOVE | CUT
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | CUT


def restrict_files(libc: ctypes.CDLL, read: Iterable[str], write: Iterable[str]) -> None:
    """Allow this process some files and folders and no others; there is no way back.

    Args:
        libc: made with `use_errno`.
        read: files and folders, with all below them; those that are not there do not count.
        write: the same, for what may be written, moved and removed too, but not made a link.

    Raises:
        OSError: the system refuses; ENOSYS, it has no Landlock, or one that cannot let files be
            moved, or the process has more threads than this one, which would stay free.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise OSError(errno.ENOSYS, "other threads run already")
    version = libc.syscall(CREATE, None, 0, ASK_VERSION)
    if version < min(KNOWN):
        raise OSError(errno.ENOSYS, "this Linux has no Landlock, or an older one")
    handled = KNOWN[min(version, max(KNOWN))]
    scoped = SIGNALS_AND_SOCKETS if version >= SCOPED else 0
    asked = struct.pack("=QQQ", handled, 0, scoped)[: 24 if scoped else 8]
    rules = _called(libc, CREATE, asked, len(asked), 0)
    try:
        for paths, rights in ((read, READ), (write, WRITE)):
            for path in paths:
                with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                    _allow(libc, rules, path, rights & handled)
        no_new_rights(libc)
        _called(libc, RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if Path(path).is_dir() else rights & OF_A_FILE
        rule = struct.pack("=Qi", allowed, place)
        _called(libc, ADD, rules, BELOW_A_PATH, rule, 0)
    finally:
        os.close(place)


def _called(libc: ctypes.CDLL, number: int, *arguments: bytes | int) -> int:
    given = int(libc.syscall(number, *arguments))
    if given < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    return given
