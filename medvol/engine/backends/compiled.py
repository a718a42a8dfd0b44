# SPDX-License-Identifier: Apache-2.0
"""Compiled networks on the disk, so that a process need not compile what an earlier one did."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...bundle.places import home_folder
from ...errors import InputError
from ...files import replacing

FOLDER = "compiled"  # in the user's home of medvol
SUFFIX = ".compiled"
MOST_BYTES = 512 * 1024**2  # of all of them; what was not used for the longest time goes first
DIGEST_BYTES = hashlib.sha256().digest_size


def compiled(key: str, make: Callable[[], bytes]) -> bytes:
    """What is kept under a key; where nothing is, or it is damaged, what is made now and kept.

    Args:
        key: hexadecimal digits that stand for all that it depends on.
        make: gives it.
    """
    path = home_folder() / FOLDER / f"{key}{SUFFIX}"
    with suppress(OSError):
        digest, content = _split(path.read_bytes())
        if digest == hashlib.sha256(content).digest():
            os.utime(path)  # it was used now
            return content
    content = make()
    with suppress(InputError, OSError):  # a home that cannot be written, as of a confined process
        with replacing(path) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
        _thin_out(path)
    return content


def forget(key: str) -> None:
    """Take away what is kept under a key."""
    with suppress(OSError):
        (home_folder() / FOLDER / f"{key}{SUFFIX}").unlink()


def _split(file: bytes) -> tuple[bytes, bytes]:
    return file[:DIGEST_BYTES], file[DIGEST_BYTES:]


def _thin_out(newest: Path) -> None:
    """Take away the oldest until the others are small enough together; the newest stays."""
    files = [(x.stat(), x) for x in newest.parent.glob(f"*{SUFFIX}")]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda pair: pair[0].st_mtime_ns):
        if total <= MOST_BYTES:
            break
        if path != newest:
            path.unlink(missing_ok=True)
            total -= status.st_size
