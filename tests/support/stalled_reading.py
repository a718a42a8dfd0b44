# SPDX-License-Identifier: Apache-2.0
"""Work for the process of `medvol predict` in which a library reads a volume without end."""

import ctypes
import sys
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from medvol.answer import Answer
from medvol.engine import serve
from medvol.images.image import Image
from medvol.owned import filling
from medvol.tasks.cases import Case
from medvol.tasks.predicting import Job
from medvol.tasks.side_by_side import SideBySide, Stages

LONG_S = 60
AT_WORK = "one is written, and the next one is read"


def start(job: Job) -> serve.Handler:
    """Never ends: while the first case is written, the second one is read in native code."""
    serve.GRACE_S = LONG_S  # whoever waits for the thread is killed
    second_read = Event()
    image = Image(np.zeros((1, 1, 1), np.int16), np.eye(4), Path("a.nii"))

    def read(case: Case) -> Any:
        if case.name == "b":
            second_read.set()
            ctypes.CDLL(None).sleep(LONG_S)  # without Python's lock, as SimpleITK reads
        return Case(case.source, case.name, image=image)

    def write(case: Case, _: Answer) -> Any:
        with filling(job.results.folder / case.name) as scratch:
            (scratch / "mask.nii").write_bytes(b"half")
            second_read.wait()
            print(AT_WORK, file=sys.stderr, flush=True)
            Event().wait(LONG_S)

    answer = Answer(image, job.results.spec, None)  # type: ignore[arg-type]
    stages = Stages[Any](read, lambda _: answer, write, lambda *_: True)
    return lambda cases: iter(SideBySide(stages, cases))
