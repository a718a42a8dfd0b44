# SPDX-License-Identifier: Apache-2.0
"""Stands in for a bundle in a cohort's process: an image is a text that says what happens to it."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from medvol.cohort.frozen import Asked, freeze
from medvol.cohort.plan import Unit
from medvol.engine.serve import Handler
from medvol.errors import InputError
from medvol.failures import path_error
from medvol.owned import FILES, RUN, checksums, filling, read_record, write_record
from medvol.progress import Step, tell
from medvol.tasks.cases import Case
from medvol.tasks.predicting import Job, Outcome

WORK = f"{__name__}:start"


MakeCohort = Callable[[Mapping[str, str]], tuple[Path, list[Unit]]]


def cohort_of(folder: Path, bundle: Path, words: Mapping[str, str]) -> tuple[Path, list[Unit]]:
    """A cohort that is frozen.

    Args:
        folder: for its images and results.
        bundle: any, of which only name and weights are looked at.
        words: name of each case to what happens to it.
    """
    units = []
    for name, text in words.items():
        path = folder / "images" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        units.append(Unit(name, str(path), bundle.name))
    out = folder / "out"
    freeze(out, units, Asked([str(bundle)], device="cpu"), threads=1)
    return out, units


def start(job: Job) -> Handler:
    """What does cases as their words say, and writes a small file of each."""

    def handle(cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        for case in cases:
            yield _outcome(Path(job.results.folder) / case.name, Path(case.path))

    return handle


def _outcome(folder: Path, path: Path) -> Outcome | InputError:
    if record := read_record(folder / RUN):
        return Outcome("complete already", record, is_new=False)
    tell(Step("network"))
    try:
        word, _, given = path.read_text().partition(" ")
    except OSError as error:
        return path_error(path, error)
    if word == "once":  # the first time what comes behind it happens, and then nothing
        seen = path.with_suffix(".seen")
        word, _, given = ("", "", "") if seen.exists() else given.partition(" ")
        seen.touch()
    if word == "kill":
        os.kill(os.getpid(), signal.Signals[given])
    if word == "refuse":
        return InputError(given, path, "it is refused.", "Mend it.")
    if word == "raise":
        raise InputError(given, path, "it cannot be used.", "Mend it.")
    if word == "sleep":
        time.sleep(float(given))
    name, text = ("mask.txt", given) if word == "write" else ("process.txt", str(os.getpid()))
    return _written(folder, name, text)


def _written(folder: Path, name: str, text: str) -> Outcome | InputError:
    try:
        with filling(folder) as scratch:
            (scratch / name).write_text(text)
            files, times = checksums(scratch), {"load": 0.0}
            record = {FILES: files, "times_s": times, "peak_memory_bytes": 1000}
            write_record(scratch / RUN, record)
    except InputError as error:
        return error
    return Outcome("predicted", record)
