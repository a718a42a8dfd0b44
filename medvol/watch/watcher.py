# SPDX-License-Identifier: Apache-2.0
"""Decides what is to be done: studies that are complete, match the rules and are not done yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..dicomweb.found import SeriesFound
from ..errors import InputError
from .ledger import DONE, PASSED, REFUSED, SEEN, STARTED, STOPPED, UNSTORED, WAITING, Entry, Ledger
from .rules import Rules
from .sources import Item

MOST_STARTS = 3  # of a series whose prediction ended the watch each time
RETRY_S = 60.0  # before what an archive did not give or take is tried again; doubles each time
LONGEST_RETRY_S = 3600.0


@dataclass(frozen=True)
class Work:
    """A series that is to be predicted, or whose results are to be stored.

    Args:
        item: its study.
        series: of it.
        stamp: of the series, which says what was there.
        before: entry of its last time, where it is tried again.
    """

    item: Item
    series: SeriesFound
    stamp: str
    before: Entry | None = None

    @property
    def only_store(self) -> bool:
        """Whether it is predicted already, and could not be stored."""
        return self.before is not None and self.before["state"] == UNSTORED


class Watcher:
    """What is done of that which a source shows, by its ledger.

    Args:
        ledger: of the folder of results.
        rules: what a series must be like.
        bundle: its name, version and weights, in words.
        settle_s: a study is complete when nothing came for so long.
        every: every series of a study that fits, not only the one with most images.
        renew: what another version of the bundle did is done again.
    """

    def __init__(
        self, ledger: Ledger, rules: Rules, bundle: str, *, settle_s: float,
        every: bool = False, renew: bool = False,
    ) -> None:  # fmt: skip
        self.ledger, self.rules, self.bundle = ledger, rules, bundle
        self.settle_s, self.every, self.renew, self.clock = settle_s, every, renew, ledger.clock
        self.due_s: float | None = None  # until when the next study settles, after `ready`
        self.refused: list[InputError] = []  # studies that cannot be read, after `ready`

    def pass_present(self, items: Iterable[Item]) -> None:
        """Leave what is there now, until more comes of it."""
        for item in items:
            reason = "it was there when the watch began"
            self.ledger.add(PASSED, study=item.study, stamp=item.stamp, reason=reason)

    def ready(self, items: Iterable[Item]) -> Iterator[Work]:
        """What is to be done now; the ledger says what else was seen.

        Args:
            items: that the source shows.

        Raises:
            InputError: E_NOSPACE, the ledger cannot be written.
        """
        self.due_s, self.refused = None, []
        for item in items:
            passed = self.ledger.known.passed.get(item.study)
            if passed is not None and passed["stamp"] == self._passing(item, passed):
                continue
            if not self._is_settled(item):
                continue
            if item.error is not None:
                self._refuse(item)
                continue
            chosen = self.rules.chosen(item.series, every=self.every)
            if not chosen:
                self._pass(item)
            for series in chosen:
                if work := self._work(item, series):
                    yield work

    def _passing(self, item: Item, passed: Entry) -> str:
        """The stamp by which a study stays passed by: other rules look at it again."""
        return item.stamp if passed.get("rules") in (None, self._rules) else ""

    @property
    def _rules(self) -> str:
        return repr(self.rules)

    def _is_settled(self, item: Item) -> bool:
        """Whether nothing has come of a study for long enough."""
        seen = self.ledger.known.studies.get(item.study)
        if seen is None or seen["stamp"] != item.stamp:
            images = sum(one.instances or 0 for one in item.series)
            seen = self.ledger.add(SEEN, study=item.study, stamp=item.stamp, images=images)
        left = self.settle_s - (self.clock() - _time(seen))
        if left > 0:
            self.due_s = left if self.due_s is None else min(left, self.due_s)
        return left <= 0

    def _refuse(self, item: Item) -> None:
        """Say once of a study that is complete why it cannot be read."""
        before, error = self.ledger.known.series.get(item.study), item.error
        if error is None or (before is not None and before.get("stamp") == item.stamp):
            return
        self.ledger.add(
            REFUSED, study=item.study, series=item.study, stamp=item.stamp, bundle=self.bundle,
            code=error.code, reason=error.reason,
        )  # fmt: skip
        self.refused.append(error)

    def _pass(self, item: Item) -> None:
        reasons = dict.fromkeys(self.rules.against(one) for one in item.series)
        reason = "; ".join(reasons) or "no series of images"
        self.ledger.add(
            PASSED, study=item.study, stamp=item.stamp, reason=reason, rules=self._rules
        )

    def _work(self, item: Item, series: SeriesFound) -> Work | None:
        """What is to be done of a series, or None."""
        stamp = item.stamps[series.uid]
        before = self.ledger.known.series.get(series.uid)
        if before is None or before.get("stamp") != stamp:
            return Work(item, series, stamp)
        state = before["state"]
        if state == STOPPED:
            return Work(item, series, stamp)
        if state in (DONE, REFUSED):
            again = self.renew and before.get("bundle") != self.bundle
            return Work(item, series, stamp) if again else None
        if state == STARTED:
            starts = self.ledger.known.starts.get(series.uid, 0)
            if starts < MOST_STARTS:
                return Work(item, series, stamp)
            reason = f"the watch ended {starts} times while it was predicted."
            self.ledger.add(
                REFUSED, study=item.study, series=series.uid, stamp=stamp, bundle=self.bundle,
                code="E_FAILED", reason=reason,
            )  # fmt: skip
            return None
        if state in (WAITING, UNSTORED):
            wait_s = min(RETRY_S * 2 ** (int(before.get("tries", 1)) - 1), LONGEST_RETRY_S)
            return Work(item, series, stamp, before) if self._is_over(before, wait_s) else None
        return None

    def _is_over(self, entry: Entry, wait_s: float) -> bool:
        return self.clock() - _time(entry) >= wait_s


def _time(entry: Entry) -> float:
    """When an entry was written, in seconds since 1970; long ago where it does not say."""
    try:
        return datetime.fromisoformat(str(entry.get("time"))).timestamp()
    except ValueError:
        return 0.0
