# SPDX-License-Identifier: Apache-2.0
"""Runs a cohort: passes over its plan until every unit is ended, and says how far it is."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import InputError
from . import frozen
from .claims import Claims, this_process
from .drivers import Driver
from .exemplars import Estimate, estimate, results_bytes, write_pages
from .ledger import ANEW, COMPACTED, DONE, Ledger
from .needs import Needs
from .plan import Unit

FRESH_S = 5.0  # after which the ledger is read again
READING = 0.05  # of the time, at most: many drivers with many files would ask too much of a server
PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0  # between two looks at what others are at


class Heard(Protocol):
    """Shows how far a cohort is."""

    def counted(self, counts: Mapping[str, int]) -> None:
        """How many units are in which state.

        Args:
            counts: state to number, of `ledger.STATES`.
        """

    def exemplars(self, pages: Sequence[Path], whole: Estimate | None) -> None:
        """The first cases are done.

        Args:
            pages: of them, one a bundle.
            whole: what all will take; None where none of a bundle was done.
        """


@dataclass
class Run:
    """One driver's work on a cohort that is frozen.

    Args:
        out: its folder.
        units: that are done: the plan, or a part of it.
        workers: how many there are at the same time, for the estimate.
        heard: shows how far it is.
    """

    out: Path
    units: Sequence[Unit]
    workers: int
    heard: Heard

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.out)
        self._fresh = self._took_s = 0.0
        self._needs = Needs(())

    def __call__(self, driver: Driver, *, first: Sequence[Unit] = ()) -> Counter[str]:
        """Do all units: those that come first, then the others, then those that failed once, and
        wait in the end for what others are at.

        Args:
            driver: hands out units; is open.
            first: exemplars, or nothing.

        Raises:
            InputError: as for `Worker.do_many`.

        Returns:
            How many units are in which state.
        """
        self._refresh()
        begun = [unit for unit in first if not self._is_ended(unit)]
        if begun:
            self._passes(driver, first)
            self._show_exemplars(first)
        self._passes(driver, self.units)
        return self.counts()

    def counts(self) -> Counter[str]:
        """How many units are in which state now."""
        with suppress(InputError):  # the folder is not there at present: a worker says so
            self.ledger.refresh()
        return Counter(self.ledger.state(unit.key).state for unit in self.units)

    def bytes_of(self, unit: Unit) -> int:
        """Memory that a unit needs, by what those took that were done before this pass.

        Args:
            unit: of the plan.

        Returns:
            Bytes; 0 where nothing is known yet.
        """
        return self._needs.bytes_of(unit)

    def _passes(self, driver: Driver, units: Sequence[Unit]) -> None:
        """Go over units again and again until all are ended."""
        pause = PAUSE_S
        while left := [unit for unit in units if not self._is_ended(unit)]:
            is_done = False
            self._needs = Needs((x, self.ledger.state(x.key).peak_bytes) for x in self.units)
            for _, state in driver(self._waiting(left)):
                is_done |= state is not None
                self._refresh(FRESH_S)
            pause = PAUSE_S if is_done else min(2 * pause, LONGEST_PAUSE_S)
            if not is_done:
                time.sleep(pause)
            self._refresh()

    def _waiting(self, units: Sequence[Unit]) -> Iterator[Unit]:
        """Units that nobody has ended when they are taken."""
        for unit in units:
            self._refresh(FRESH_S)
            if not self._is_ended(unit):
                yield unit

    def _is_ended(self, unit: Unit) -> bool:
        return self.ledger.state(unit.key).is_ended

    def _refresh(self, after_s: float = 0.0) -> None:
        """Read the ledger, where that was not done for some seconds, and show how far it is."""
        now = time.monotonic()
        if after_s and now - self._fresh < max(after_s, self._took_s / READING):
            return
        counts = self.counts()
        self._fresh = time.monotonic()
        self._took_s = self._fresh - now
        self.heard.counted(counts)

    def _show_exemplars(self, first: Sequence[Unit]) -> None:
        """Show the first cases; where another driver does that now, it is left to that."""
        states = {unit.key: self.ledger.state(unit.key) for unit in first}
        done = {key: state for key, state in states.items() if state.state == DONE}
        with suppress(InputError, OSError):
            sizes = {key: results_bytes(self.out / key) for key in done}
            pages = write_pages(self.out, frozen.read(self.out), first, states)
            self.heard.exemplars(pages, estimate(self.units, done, sizes, self.workers))


def part_of(units: Sequence[Unit], number: int, parts: int) -> Sequence[Unit]:
    """The units of one job of an array: every so many, so that large and small ones mix.

    Args:
        units: of the plan.
        number: of the job, 1 to `parts`.
        parts: how many jobs there are.

    Raises:
        ValueError: no such job.

    Example:
        >>> units = [Unit(name, f"{name}.nii", "b") for name in "abcde"]
        >>> [unit.case for unit in part_of(units, 2, 3)]
        ['b', 'e']
    """
    if not 1 <= number <= parts:
        raise ValueError(f"part is {number} of {parts}; give 1/{parts} to {parts}/{parts}")
    return units[number - 1 :: parts]


def tidy(out: Path) -> None:
    """Put what processes said that are gone into one file, where nobody else does that.

    Args:
        out: folder of the cohort.

    Raises:
        InputError: E_NOSPACE, E_PATH: it cannot be read or written.
    """
    ledger = Ledger(out)
    with Claims(out, this_process()) as claims:
        there = {path.stem for path in ledger.folder.glob("*.jsonl")}  # first: more may begin now
        alive = {process.worker for process in claims.alive()}
        gone = {x for x in there if x.rstrip(ANEW) not in alive and not x.startswith(COMPACTED)}
        if len(there) > 1 and gone and (claim := claims.take(COMPACTED)) is not None:
            ledger.compact(sorted(gone))
            claims.release(claim)
