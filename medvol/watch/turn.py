# SPDX-License-Identifier: Apache-2.0
"""What a watch does with a series that is ready: have it, predict it, store it, write it down."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..dicomweb.address import opaque
from ..dicomweb.at_hand import AtHand
from ..errors import InputError
from ..failures import FAILURES, failure
from ..outputs.archived import Storing
from ..owned import RUN, read_record
from ..tasks.cases import Case
from ..tasks.predictor import Predictor
from ..text import counted
from .ledger import DONE, REFUSED, STARTED, STOPPED, UNSTORED, WAITING, Ledger
from .sources import Source
from .watcher import Watcher, Work

# what may be gone at another time: an archive or a disk; a file that is being written
PASSING = frozenset({"E_ARCHIVE", "E_NOSPACE", "E_CHANGED"})
MOST_TRIES = 30  # the last of them a day after the first


@dataclass
class Turn:
    """One look at a source, and all that is to be done then.

    Args:
        source: that is looked at.
        watcher: decides.
        ledger: keeps.
        predictor: predicts.
        storing: sends results to an archive; None where they stay.
        say: prints a line; the second argument is whether it is about something that failed.
    """

    source: Source
    watcher: Watcher
    ledger: Ledger
    predictor: Predictor
    storing: Storing | None
    say: Callable[[str, bool], None]

    def __call__(self) -> int:
        """Look once, and do what is ready.

        Raises:
            InputError: the source or the bundle cannot be used, at present; E_NOSPACE, the ledger
                cannot be written.

        Returns:
            How many series were refused, or have to be tried again.
        """
        failed = 0
        items = self.source.poll(self.ledger.known.own)
        for work in self.watcher.ready(items):
            failed += not self._done(work)
        for error in self.watcher.refused:
            self.say(str(error), True)
        return failed + len(self.watcher.refused)

    def _done(self, work: Work) -> bool:
        """Do one series; whether it is done."""
        said: dict[str, Any] = {
            "study": work.item.study, "series": work.series.uid, "stamp": work.stamp,
            "bundle": self.watcher.bundle,
        }  # fmt: skip
        started = time.perf_counter()
        tries = int(work.before.get("tries", 0)) if work.before else 0
        cases: list[str] = list(work.before.get("cases", ())) if work.before else []
        if not work.only_store:
            self.ledger.add(STARTED, **said)
            try:
                found = self._predicted(work)
            except BaseException:  # it was stopped, or the bundle cannot be used at all
                self.ledger.add(STOPPED, **said)
                raise
            if isinstance(found, InputError):
                return self._failed(found, WAITING, said, tries)
            cases = [*found]
            said["answers"] = [*found.values()]
        said["cases"] = cases
        if self.storing is not None:
            try:
                number, results = self._stored(self.storing, cases)
            except InputError as error:
                return self._failed(error, UNSTORED, said, tries)
            said |= {"stored": number, "results": results}
        said["seconds"] = round(time.perf_counter() - started, 1)
        self.ledger.add(DONE, **said)
        words = [*said.get("answers", [f"{name}: predicted before" for name in cases])]
        if self.storing is not None:
            words.append(f"stored {counted(said['stored'], 'object')} in {self.storing.address}")
        self.say("; ".join(words), False)
        return True

    def _predicted(self, work: Work) -> dict[str, str] | InputError:
        """Names of the cases of a series to their answers as lines; or why there are none.

        Raises:
            InputError, ValueError: the bundle cannot be used, whatever the case.
        """
        with AtHand() as hand:
            try:
                brought = self.source.bring(work.item, work.series, hand)
            except FAILURES as error:
                return hand.refusal(failure(error, _name(work)))
            cases = [Case(x.path, x.case, series=x.series) for x in brought]
            answers: dict[str, str] = {}
            for case, outcome in zip(cases, self.predictor(cases), strict=True):
                if isinstance(outcome, InputError):
                    return hand.refusal(outcome)
                answers[case.name] = outcome.said
            return answers

    def _stored(self, storing: Storing, cases: Sequence[str]) -> tuple[int, list[str]]:
        """How many objects an archive has of some cases, and the UIDs of their series.

        Raises:
            InputError: E_ARCHIVE, one could not be stored.
        """
        number, results = 0, set[str]()
        for case in cases:
            files = read_record(storing.folder / case / RUN).get("files", {})
            # known as medvol's own before they are there, or the next look would find them new
            results.update(storing.series(case, files))
            self.ledger.known.own.update(results)
            number += storing.store(case, files)
        return number, sorted(results)

    def _failed(self, error: InputError, state: str, said: dict[str, Any], tries: int) -> bool:
        """Write down why a series is not done, and whether it is tried again."""
        again = error.code in PASSING and tries + 1 < MOST_TRIES
        self.ledger.add(
            state if again else REFUSED, **said, tries=tries + 1, code=error.code,
            reason=error.reason,
        )  # fmt: skip
        later = " It is tried again later." if again else ""
        self.say(f"{opaque(said['series'])}: {error}{later}", True)
        return False


def _name(work: Work) -> str:
    return f"series_{opaque(work.series.uid)}"
