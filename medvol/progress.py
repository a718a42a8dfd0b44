# SPDX-License-Identifier: Apache-2.0
"""What a long piece of work is at: stages and steps, said by the work, heard by who shows them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, local
from typing import Any, NamedTuple, TypeAlias

from .errors import printable

# stages of a prediction, as records name them -> as a reader has them
STAGES = {
    "start": "starting",
    "read": "reading",
    "import": "loading torch and MONAI",
    "load": "loading the network",
    "prepare": "preparing",
    "network": "network",
    "restore": "restoring to the image's grid",
    "measure": "measuring",
    "write": "writing",
    "other": "all else",
}
OF_A_RUN = ("start", "import", "load", "other")  # the others are of a case
LONGEST_NAME = 30  # letters of a name in front of a bar


class Step(NamedTuple):
    """Where a piece of work is.

    Args:
        stage: of `STAGES`.
        done: steps of the stage that are done.
        total: steps of the stage; 0 where it has none.
        unit: what a step is, such as "window".
        remark: what is to be said of the stage, one sentence; or empty.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    remark: str = ""


Listener: TypeAlias = Callable[[Step], None]
_listeners: list[Listener] = []  # the last one hears
_aside = local()  # `until` of a thread whose work is ahead of what is shown


def tell(step: Step) -> None:
    """Say where the work is; nothing happens where nobody listens, or where it is of no interest
    yet, see `unheard`."""
    until = getattr(_aside, "until", None)
    if _listeners and (until is None or until.is_set()):
        _listeners[-1](step)


def is_heard() -> bool:
    """Whether somebody listens."""
    return bool(_listeners)


@contextmanager
def heard_by(listener: Listener | None) -> Iterator[None]:
    """Let what is told inside, by any thread of this process, be heard by one listener.

    Args:
        listener: is called with each step; None leaves all as it was.

    Example:
        >>> heard = []
        >>> with heard_by(heard.append):
        ...     tell(Step("network", 3, 8, "window"))
        >>> tell(Step("write"))
        >>> heard
        [Step(stage='network', done=3, total=8, unit='window', remark='')]
    """
    if listener is None:
        yield
        return
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def unheard(until: Event) -> Iterator[None]:
    """Let what this thread tells inside be heard by nobody before an event.

    Args:
        until: set when its work is what everybody waits for.
    """
    before, _aside.until = getattr(_aside, "until", None), until
    try:
        yield
    finally:
        _aside.until = before


@contextmanager
def shown(name: str) -> Iterator[None]:
    """Show on stderr what is told inside, as the work on one case.

    Args:
        name: of the case; or empty.
    """
    bars = Bars(1)
    bars.name = name
    try:
        with heard_by(bars):
            yield
    finally:
        bars.close()


class Bars:
    """Shows on stderr where a run is: a bar over cases, and below it the stage of the present one.

    A single case gets no bar of its own; its stages stay on the terminal, each with its time.

    Args:
        cases: of the run.
        unit: what a case is called.
        shown: False shows nothing.
        stages: False shows only the bar over cases, and that the network is loaded; for cases that
            go through the network together.
    """

    def __init__(
        self, cases: int, *, unit: str = "case", shown: bool = True, stages: bool = True
    ) -> None:
        from tqdm import tqdm

        self.shown, self.stages, self.alone = shown, stages, cases == 1
        self.name = ""
        self._stage, self._started = "", 0.0
        self._inner: tqdm[Any] | None = None
        self._outer = tqdm(
            total=cases, unit=unit, leave=False, dynamic_ncols=True,
            disable=not shown or self.alone,
        )  # fmt: skip

    def __call__(self, step: Step) -> None:
        """Show where the present case is."""
        if not self.shown or not (self.stages or step.stage == "load"):
            return
        if step.stage != self._stage:
            self.end_stage()
            self._begin(step)
        if step.remark:
            self.say(step.remark, sys.stderr)
        if step.total and (self._inner is None or self._inner.total != step.total):
            self._bar(step)
        if self._inner is not None:
            self._inner.update(step.done - self._inner.n)

    def end_stage(self) -> None:
        """Take the line of the present stage away; that of a single case stays, with its time."""
        if self._inner is not None:
            self._inner.close()
            self._inner = None
        if self._stage and self.alone:
            seconds = time.perf_counter() - self._started
            self.say(f"  {STAGES[self._stage]} {seconds:.1f} s", sys.stderr)
        self._stage = ""

    def end_case(self) -> None:
        """Count a case as done."""
        self.end_stage()
        self._outer.update()

    def say(self, line: str, file: Any) -> None:
        """Print a line between the bars, what a terminal cannot show as escapes."""
        with self._outer.external_write_mode(file=file):
            print(printable(line), file=file, flush=True)

    def close(self) -> None:
        """End the present stage, and take all bars away."""
        self.end_stage()
        self._outer.close()

    def _begin(self, step: Step) -> None:
        from tqdm import tqdm

        self._stage, self._started = step.stage, time.perf_counter()
        self._inner = tqdm(
            bar_format="{desc}", desc=self._words(step), leave=False, position=self._row,
            dynamic_ncols=True,
        )  # fmt: skip

    def _bar(self, step: Step) -> None:
        """A bar over the steps of a stage, in place of the line that names it."""
        from tqdm import tqdm

        if self._inner is not None:
            self._inner.close()
        self._inner = tqdm(
            total=step.total, unit=step.unit, desc=self._words(step), leave=False,
            position=self._row, dynamic_ncols=True, mininterval=0,
        )  # fmt: skip

    @property
    def _row(self) -> int:
        return 0 if self.alone else 1

    def _words(self, step: Step) -> str:
        name = printable(self.name)
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME - 1]}…"
        return f"{name}: {STAGES[step.stage]}" if name else STAGES[step.stage]
