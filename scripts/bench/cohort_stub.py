# SPDX-License-Identifier: Apache-2.0
"""Stands in for a network in a cohort's child: a case is a file of JSON that says what happens.

    {"seconds": 0.2, "do": ""}

It takes so long, and then a small "mask" is written, as a prediction's files are: whole, with a
record of their checksums. `do` names what goes wrong instead, see `WRONG`. Where the environment
names a folder by `LOG`, each begin and end of a case is written there, and where two processes are
at the same case: each holds a lock on a file of the case, which ends with its process.
"""

import ctypes
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medvol.cohort.worker import check_there
from medvol.engine.serve import Handler
from medvol.errors import InputError
from medvol.failures import FAILURES, failure
from medvol.owned import FILES, RUN, checksums, filling, read_record, write_record
from medvol.tasks.predicting import Job, Outcome

WORK = f"{__name__}:start"
LOG, FILE = "MEDVOL_STUB_LOG", "log.txt"
BLOCK = 64 << 20  # bytes that `eat` takes at a time


def start(job: Job) -> Handler:
    """What answers to cases with an `Outcome`, as `medvol.tasks.predicting.start` does."""
    folder = Path(job.results.folder)

    def handle(cases: Sequence[Any]) -> Iterator[Outcome | InputError]:
        for case in cases:
            try:
                yield case.error or _outcome(folder / case.name, case.path)
            except FAILURES as error:
                yield failure(error, case.path)

    return handle


def _outcome(folder: Path, path: str) -> Outcome | InputError:
    try:
        asked = json.loads(Path(path).read_bytes())
    except ValueError:
        return InputError("E_FORMAT", path, "it is not JSON.", "Write it again.")
    if record := read_record(folder / RUN):
        return Outcome("complete already", record, is_new=False)
    with _noted(folder):
        if asked.get("do"):
            WRONG[asked["do"]]()
        seconds, began = asked.get("seconds", 0.0), time.monotonic()
        check_there(folder.parent.parent)
        with filling(folder) as scratch:
            (scratch / "mask.txt").write_text(f"mask of {Path(path).name}\n" * 100)
            record = {FILES: checksums(scratch), "times_s": {"network": seconds}}
            write_record(scratch / RUN, record)
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    return Outcome("computed", record)


def crash() -> None:
    """Read where nothing is: the process ends with SIGSEGV."""
    ctypes.string_at(0)


def hang() -> None:
    """Never come back from native code, which holds Python's lock meanwhile."""
    library = ctypes.PyDLL(None)
    while True:
        library.sleep(3600)


def eat() -> None:
    """Take memory without end."""
    taken = []
    while True:
        taken.append(bytearray(os.urandom(1) * BLOCK))
        time.sleep(0.05)


WRONG = {"crash": crash, "hang": hang, "eat": eat}


@contextmanager
def _noted(folder: Path) -> Iterator[None]:
    """Note the begin and the end of a case, and whether another process is at it."""
    if LOG not in os.environ:
        yield
        return
    log, key = Path(os.environ[LOG]), f"{folder.parent.name}/{folder.name}"
    with (log / key.replace("/", " ")).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _write(log / FILE, "twice", key)
        _write(log / FILE, "begin", key)
        yield
        _write(log / FILE, "end", key)


def _write(path: Path, word: str, key: str) -> None:
    """Write a line, whole, also where others write at the same time."""
    line = f"{time.time():.6f} {os.getpid()} {word} {key}\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
