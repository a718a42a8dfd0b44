# SPDX-License-Identifier: Apache-2.0
"""A watch's predictions: one process that holds the model, and what it is asked and answers."""

from collections.abc import Iterator, Sequence
from types import TracebackType

from ..engine import child
from ..engine.confined import confined
from ..engine.limits import usual_limits
from ..errors import InputError
from ..files import sweep
from ..outputs.results import Results
from ..tasks.ahead import AT_WORK
from ..tasks.cases import Case
from ..tasks.predicting import Job, Outcome, start

MOST_CASES = 50  # of one process: what a library does not give back goes with it


class Predictor:
    """Predicts cases and writes their files; its process ends with a `with` block.

    A bundle that carries code gets a process for each series, which reaches nothing else.

    Args:
        results: what is written and where.
        time_limit: seconds for a case; None for what is usual.
    """

    def __init__(self, results: Results, time_limit: float | None = None) -> None:
        self.results, self.time_limit = results, time_limit
        self._kept: child.Child | None = None
        self._cases = 0

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._end()

    def __call__(self, cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        """What comes of each case of a series, in their order.

        Raises:
            InputError: E_BUNDLE, E_UNTRUSTED: the bundle cannot be used, whatever the case.
        """
        spec, results = self.results.spec, self.results
        names = [case.name for case in cases]
        read = [case.path for case in cases]
        with confined(spec.folder, read=read, top=results.folder, names=names) as confinement:
            if self._kept is None or confinement is not None or self._cases >= MOST_CASES:
                self._end()
                limits = usual_limits(self.time_limit, confined=confinement is not None)
                work = f"{start.__module__}:{start.__name__}"
                self._kept = child.Child(
                    work, Job(results), limits=limits, together=AT_WORK, confinement=confinement
                )
            process = self._kept
            self._cases += len(cases)
            try:
                yield from process.each(cases, name=lambda case: case.path)
            finally:
                if confinement is not None:
                    self._end()
                for case in cases:
                    for number in process.ended:
                        sweep(results.folder / case.name, number, results.folder)

    def _end(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept, self._cases = None, 0
