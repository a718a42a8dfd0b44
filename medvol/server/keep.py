# SPDX-License-Identifier: Apache-2.0
"""The folder of a server is its own while it runs, and holds nothing longer than it may."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..failures import write_error

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from .jobs import Job

LOCK = ".lock"


def held(folder: Path) -> "BaseFileLock":
    """Make the folder of a server, and hold it until `release` is called or the process ends.

    Args:
        folder: that no other server may use meanwhile.

    Raises:
        InputError: E_OUTPUT, another server uses it; E_NOSPACE, it cannot be written.
    """
    from filelock import FileLock, Timeout  # here: most commands lock nothing

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # images of patients lie in it
        lock.acquire()
    except Timeout:
        reason = "another medvol serve uses this folder."
        raise InputError("E_OUTPUT", folder, reason, "End it, or give another --folder.") from None
    except OSError as error:
        raise write_error(folder, error) from error
    return lock


def outlived(jobs: "Iterable[Job]", *, keep_h: float, most: int, now: float) -> "list[Job]":
    """The jobs that are over and may go: too long ago, or more than are kept.

    Args:
        jobs: in the order in which they came.
        keep_h: hours, above 0, that one is kept.
        most: jobs that are kept.
        now: seconds since 1970.
    """
    over = sorted((job for job in jobs if job.is_over), key=lambda job: job.ended)
    first = max(0, len(over) - most)
    return over[:first] + [job for job in over[first:] if job.ended < now - 3600 * keep_h]
