# SPDX-License-Identifier: Apache-2.0
"""Names of unfinished files and folders, and taking away what processes that are gone left of them.

A name says which process made it, and on which machine: what another machine or container is at, on
a disk that it shares, looks like the work of a process that is gone.
"""

import hashlib
import os
import platform
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

SCRATCH = ".medvol-"  # begins the names of unfinished files and folders among results
TEMPORARY = "medvol-"  # begins those of folders in the system's folder for temporary files
OLD_S = 86400.0  # after which what another machine made is left behind: no image takes a day
LATER_S = 60.0  # by which clocks of a disk and of a machine may differ
_NAME = re.compile(rf"(?:{re.escape(SCRATCH)}|{TEMPORARY})(\d+)-([0-9a-f]{{6}})-")
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # another one after each start of Linux


def machine() -> str:
    """Six hexadecimal digits that tell this machine or container, and its last start, from others;
    nobody finds out its name by them."""
    boot = _BOOT.read_text(encoding="ascii") if _BOOT.is_file() else ""
    return hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:6]


def prefix(start: str = SCRATCH) -> str:
    """What the names of unfinished files and folders of this process begin with.

    Args:
        start: `SCRATCH` or `TEMPORARY`.
    """
    return f"{start}{os.getpid()}-{machine()}-"


def is_left(path: Path) -> bool:
    """Whether a file or folder is the unfinished work of a process that is gone.

    Args:
        path: of anything.
    """
    made = _NAME.match(path.name)
    if made is None:
        return False
    try:
        since = path.stat().st_mtime
    except OSError:  # it has just gone
        return False
    if made[2] != machine():
        return time.time() - since > OLD_S
    import psutil  # here: it takes a while

    try:
        process = psutil.Process(int(made[1]))
        is_dead = process.status() == psutil.STATUS_ZOMBIE  # and nobody has asked how it ended
        return is_dead or process.create_time() > since + LATER_S
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OverflowError):
        return False


def sweep_left(folder: Path) -> None:
    """Take away what processes that are gone left directly in a folder; nothing where it is not.

    Args:
        folder: of results, or for temporary files.
    """
    with suppress(OSError):
        for path in [*folder.iterdir()]:
            if is_left(path):
                remove(path)


def remove(path: Path) -> None:
    """Take away a file, or a folder with all that is in it, as far as that is allowed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
