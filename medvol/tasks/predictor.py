# SPDX-License-Identifier: Apache-2.0
"""One process that holds a model, and predicts cases that come one after the other for hours."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from ..engine import child
from ..engine.confined import confined
from ..engine.limits import usual_limits
from ..engine.process import Loss
from ..errors import InputError
from ..files import sweep
from ..outputs.results import Results
from ..progress import Step
from .ahead import AT_WORK
from .cases import Case
from .predicting import Job, Outcome, start

MOST_CASES, MOST_S = 50, 600.0  # of one process: what a library does not give back goes with it
START = f"{start.__module__}:{start.__name__}"


@dataclass(frozen=True)
class Kept:
    """What is kept of a process for who looks for the cause when it is lost.

    Args:
        memory_bytes: that it may take; None for what is free.
        started: is called with the number of each process when it starts.
    """

    memory_bytes: int | None
    started: Callable[[int], object]


class Predictor:
    """Predicts cases and writes their files; its process ends with a `with` block.

    A bundle that carries code gets a process for each series, which reaches nothing else.

    Args:
        results: what is written and where.
        time_limit: seconds for a case; None for what is usual.
        work: that the process does, as for `engine.child.Child`; its setup is a `Job`.
        kept: where the cause of a loss is looked for: then nothing that the process prints is
            shown.

    Attributes:
        loss: how the process was lost with the last case; None where it was not.
        stage: that the last case was at when something was heard of it, of `progress.STAGES`.
    """

    def __init__(
        self, results: Results, time_limit: float | None = None, *, work: str = START,
        kept: Kept | None = None,
    ) -> None:  # fmt: skip
        self.results, self.time_limit, self.work, self.kept = results, time_limit, work, kept
        self.loss: Loss | None = None
        self.stage = ""
        self._process: child.Child | None = None
        self._cases, self._since = 0, 0.0

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def __call__(self, cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        """What comes of each case of a series, in their order.

        Raises:
            InputError: E_BUNDLE, E_UNTRUSTED: the bundle cannot be used, whatever the case.
        """
        spec, results = self.results.spec, self.results
        names = [case.name for case in cases]
        read = [case.path for case in cases]
        with confined(spec.folder, read=read, top=results.folder, names=names) as confinement:
            if self._process is None or confinement is not None or self._is_old():
                self.close()
                self._since = time.monotonic()
                limits = usual_limits(self.time_limit, confined=confinement is not None)
                kept = self.kept
                self._process = child.Child(
                    self.work, Job(results), together=AT_WORK, confinement=confinement,
                    limits=limits._replace(memory_bytes=kept.memory_bytes if kept else None),
                    heard=self._hear if kept else None, kept=kept is not None,
                    started=kept.started if kept else None,
                )  # fmt: skip
            process = self._process
            process.ready()  # no case is to blame for a process that died between two
            self._cases += len(cases)
            try:
                for outcome in process.each(cases, name=lambda case: case.path):
                    self.loss = process.loss
                    yield outcome
                    self.stage = ""
            finally:
                if confinement is not None:
                    self.close()
                for case in cases:
                    for number in process.ended:
                        sweep(results.folder / case.name, number, results.folder)

    def close(self) -> None:
        """End the process; the next case gets a new one."""
        if self._process is not None:
            self._process.close()
        self._process, self._cases = None, 0

    def _is_old(self) -> bool:
        return self._cases >= MOST_CASES and time.monotonic() - self._since >= MOST_S

    def _hear(self, step: Step) -> None:
        self.stage = step.stage
