# SPDX-License-Identifier: Apache-2.0
"""A process that does units of a cohort, one after the other, in whatever driver."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dicomweb.address import is_address
from ..dicomweb.at_hand import AtHand
from ..errors import InputError, printable
from ..failures import FAILURES, failure
from ..outputs.results import Results
from ..owned import RUN
from ..scratch import sweep_left
from ..tasks.cases import Case
from ..tasks.predictor import START, Kept, Predictor
from ..tasks.task import task_of
from . import frozen
from .claims import Claim, Claims, this_process
from .ledger import DONE, LOST, PLANNED, QUARANTINED, RUNNING, Ledger, State
from .plan import Unit, read_plan
from .unit import (
    MAY_PASS,
    MOST_DEATHS,
    End,
    case_of,
    end_of,
    log_of,
    not_there,
    write_log,
)
from .waiting import PATIENCE_S, Patience, check_images, is_passing

if TYPE_CHECKING:
    from ..answer import Answer
    from ..tasks.predicting import Outcome


TOGETHER = 8  # units that a worker has at the same time, of which it reads one while it computes


class Session(NamedTuple):
    """What a worker needs to know, small enough to be sent to another process.

    Args:
        out: folder of the cohort, which is frozen.
        work: that the process of a bundle does, as for `Predictor`.
        memory_bytes: that it may take; None for what is free.
        patience_s: seconds of waiting for a disk or an archive, after which it is given up.
    """

    out: str
    work: str = START
    memory_bytes: int | None = None
    patience_s: float = PATIENCE_S


Said = tuple[str, State | None]  # key of a unit and what became of it; None: another one has it


class Worker:
    """Does units; its processes and signs of life end with a `with` block.

    Args:
        session: what it needs to know.
        say: prints a line about what is waited for; None prints it to stderr.

    Raises:
        InputError: the folder is of no cohort, or cannot be written.
    """

    def __init__(self, session: Session, say: Callable[[str], object] | None = None) -> None:
        self.session, self.out = session, Path(session.out)
        self.frozen = frozen.read(self.out)
        self.claims = Claims(self.out, this_process())
        self.ledger = Ledger(self.out, self.claims.own.worker)
        self.patience = Patience(session.patience_s, say or _to_stderr)
        self.for_cases = Patience(session.patience_s, say or _to_stderr)
        self._predictors: dict[str, Predictor] = {}
        self._children: dict[str, int] = {}  # bundle to the process that holds it

    def __enter__(self) -> "Worker":
        self.ledger.refresh()
        self.claims.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for predictor in self._predictors.values():
            predictor.close()
        self.claims.__exit__()

    def do(self, unit: Unit) -> State | None:
        """Do one unit.

        Args:
            unit: of the plan.

        Raises:
            InputError: as for `do_many`.

        Returns:
            As of `do_many`.
        """
        ((_, state),) = self.do_many([unit])
        return state

    def do_many(self, units: Sequence[Unit]) -> Iterator[Said]:
        """Do some units: the next is read while one is computed.

        Units that failed, or whose workers died, are done alone, so that they harm no other.

        Args:
            units: of the plan.

        Raises:
            InputError: E_BUNDLE, E_UNTRUSTED, E_OUTPUT: a bundle cannot be used, whatever the case;
                or what was waited for in vain.

        Returns:
            The key of each unit and its state, which `FAILED` says is to be tried again; None where
            another process has it.
        """
        for _, group in groupby(sorted(units, key=self._together), self._together):
            held: list[_Held] = []
            try:
                for unit in group:
                    begun = self.patience.until(partial(self._begun, unit))
                    if isinstance(begun, Claim):
                        held.append(_Held(unit, begun))
                    else:
                        yield unit.key, begun
                yield from self._done(held)
            finally:
                for one in held:  # it was stopped
                    with suppress(InputError):
                        if self.ledger.state(one.unit.key).state == RUNNING:
                            self.ledger.add(one.unit.key, PLANNED)
                    self.claims.release(one.claim)

    def _together(self, unit: Unit) -> tuple[str, str]:
        """Units that are done together have this in common."""
        state = self.ledger.state(unit.key)
        return unit.bundle, unit.key if state.tries or state.deaths else ""

    def _begun(self, unit: Unit) -> Claim | State | None:
        """Take a unit; or its state where it is ended, or None where another process has it."""
        key = unit.key
        claim = self.claims.take(key)
        if claim is None:
            return None
        try:
            before = self.ledger.state(key)
            # others who ended it since the ledger was read left a file; a retry leaves none
            left = (self.out / key / RUN, log_of(self.out, key))
            if claim.after:
                sweep_left(self.out / key)
            if claim.after or before.is_ended or any(map(os.path.exists, left)):
                self.ledger.refresh()
            before = self.ledger.state(key)
            if before.is_ended:
                self.claims.release(claim)
                return before
            after = claim.after
            had = (RUNNING, after.host, after.pid) if after else None
            if (before.state, before.host, before.pid) == had:
                return self._after_a_death(_Held(unit, claim), before.deaths + 1)
        except InputError:
            self.claims.release(claim)
            raise
        return claim

    def _after_a_death(self, one: "_Held", deaths: int) -> Claim | State | None:
        """Count the death of a worker that was at a unit; it is given up after many, unless its
        results are there."""
        self.ledger.add(one.unit.key, LOST, deaths=deaths)
        if deaths < MOST_DEATHS or (self.out / one.unit.key / RUN).exists():
            return one.claim
        reason = f"its worker died {deaths} times."
        remedy = "Look at the machines; then `medvol cohort retry` begins it again."
        said = {"code": "E_FAILED", "reason": reason, "remedy": remedy}
        state = self._ended(one, End(QUARANTINED, said, (reason,)))
        return None if isinstance(state, InputError) else state

    @property
    def _place(self) -> dict[str, Any]:
        return {"host": self.claims.own.host, "pid": self.claims.own.pid}

    def _done(self, held: "list[_Held]") -> Iterator[Said]:
        """What becomes of units of one bundle; those that are ended leave the list."""
        while held:
            again: InputError | None = None
            for one, end in self._tried([*held]):
                if isinstance(end, InputError):
                    again = end
                    continue
                state = self.patience.until(partial(self._ended, one, end))
                if isinstance(state, InputError):
                    again = state
                    continue
                self.for_cases.over()
                held.remove(one)
                yield one.unit.key, state
            if again is not None:
                self.for_cases.wait(again)
                self.patience.until(partial(check_there, self.out))

    def _tried(self, held: "Sequence[_Held]") -> Iterator[tuple["_Held", End | InputError]]:
        """What comes of a try of each unit; an error where it was nobody's fault."""
        predictor = self._predictor(held[0].unit.bundle)
        alone = task_of(predictor.results.spec).kind == "radiograph"
        with AtHand() as hand:
            ready: list[tuple[_Held, Case]] = []
            for one in held:
                try:
                    ready.append((one, case_of(one.unit, hand, alone=alone)))
                except FAILURES as error:
                    refusal = failure(error, one.unit.path)
                    yield one, self._judged(one, refusal, None, 0.0)
            since = time.perf_counter()
            outcomes = predictor([case for _, case in ready])
            for one, _ in ready:
                # not of those that are read ahead: they are not to blame where the worker dies
                say = partial(self.ledger.add, one.unit.key, RUNNING, **self._place)
                self.patience.until(say)
                try:
                    found = next(outcomes)
                except InputError as error:  # it is raised whatever the case
                    if error.code not in MAY_PASS and not is_passing(error):
                        raise
                    yield one, error
                    return
                if isinstance(found, InputError):
                    found = hand.refusal(found)
                yield one, self._judged(one, found, predictor, time.perf_counter() - since)
                since = time.perf_counter()
            next(outcomes, None)  # to its end, or the process would be taken for one to be ended

    def _judged(
        self, one: "_Held", found: "Outcome | InputError", by: Predictor | None, seconds: float
    ) -> End | InputError:
        """What a unit's state is now; an error where that is nobody's fault."""
        loss, stage = (by.loss, by.stage) if by else (None, "")
        if isinstance(found, InputError) and is_passing(found) and loss is None:
            return found
        tries = self.ledger.state(one.unit.key).tries
        folder = self.out / one.unit.key
        try:
            if isinstance(found, InputError):
                self._check_image(one.unit.path)
            return end_of(found, folder, seconds=seconds, tries=tries, loss=loss, stage=stage)
        except InputError as error:  # results or images are not there any more
            return error

    def _check_image(self, path: str) -> None:
        """Raise what passes where an image is missing together with many others."""
        if not is_address(path) and not os.path.lexists(path):
            check_images(path, self._images)

    @cached_property
    def _images(self) -> Sequence[str]:
        """Paths of all images; looked up when one is missing, since a plan may be long."""
        return [unit.path for unit in read_plan(self.out / frozen.PLAN)]

    def _ended(self, one: "_Held", end: End) -> State | InputError | None:
        """Write down what became of a unit, and let go of it; an error where its results went."""
        check_there(self.out)
        if not self.claims.holds(one.claim):  # this process slept, and another one took it
            return None
        said, key = {**self._place, **end.said}, one.unit.key
        if end.state == DONE and not (self.out / key / RUN).exists():
            return not_there(self.out / key)
        if end.log:
            try:
                write_log(self.out, one.unit, end.state, said, end.log)
            except InputError as error:
                if is_passing(error):
                    raise  # else no log can lie there, and the ledger says why, too
        state = self.ledger.add(key, end.state, **said)
        self.claims.release(one.claim)
        return state

    def _predictor(self, bundle: str) -> Predictor:
        if bundle not in self._predictors:
            found = self.frozen.results(self.out, bundle)
            values = {name: getattr(found, name) for name in Results.__dataclass_fields__}

            def started(process: int) -> None:
                self._children[bundle] = process
                with suppress(InputError):  # the folder is not there at present
                    self.claims.works_with([*self._children.values()])

            self._predictors[bundle] = Predictor(
                InCohort(**values), self.frozen.time_limit_s, work=self.session.work,
                kept=Kept(self.session.memory_bytes, started),
            )  # fmt: skip
        return self._predictors[bundle]


@dataclass(frozen=True)
class InCohort(Results):
    """Results that are written only while the folder of the cohort is there: what belongs on a
    network share that is gone is not put where it hung."""

    def save(self, answer: "Answer") -> list[str]:
        """As of `Results`; E_NOSPACE where the folder of the cohort is not there."""
        check_there(self.folder.parent)
        return super().save(answer)


class _Held(NamedTuple):
    unit: Unit
    claim: Claim


def check_there(out: Path) -> None:
    """Refuse to go on where the folder of a cohort is not there at present.

    Args:
        out: the folder.

    Raises:
        InputError: E_NOSPACE, it is not.
    """
    if not (out / frozen.NAME).exists():
        remedy = "Connect the disk or the network share again."
        raise InputError("E_NOSPACE", out, "the output folder is not there.", remedy)


def _to_stderr(line: str) -> None:
    print(printable(f"medvol: {line}"), file=sys.stderr, flush=True)
