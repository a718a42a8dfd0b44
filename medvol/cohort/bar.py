# SPDX-License-Identifier: Apache-2.0
"""Shows a cohort on a terminal: one bar with rate, time left, and how many were refused."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import printable
from .exemplars import Estimate
from .ledger import FAILED, QUARANTINED, RANK, REFUSED


class Bar:
    """One bar over the units of a cohort, and lines above it.

    Args:
        units: how many.
        shown: False shows no bar.
        quiet: True prints no lines but those that `say` is given.
    """

    def __init__(self, units: int, *, shown: bool, quiet: bool = False) -> None:
        from tqdm import tqdm

        self.quiet = quiet
        self._is_first = True
        self._bar = tqdm(total=units, unit="case", dynamic_ncols=True, disable=not shown)

    def counted(self, counts: Mapping[str, int]) -> None:
        """Move the bar to how many units are ended.

        Args:
            counts: state to number.
        """
        ended = sum(counts.get(state, 0) for state in RANK)
        if self._is_first:  # what was done before says nothing of the rate
            self._bar.initial, self._is_first = ended, False
            self._bar.n = self._bar.last_print_n = ended
        shown = {state: counts.get(state, 0) for state in (REFUSED, FAILED, QUARANTINED)}
        self._bar.set_postfix({name: n for name, n in shown.items() if n}, refresh=False)
        self._bar.update(ended - self._bar.n)

    def exemplars(self, pages: Sequence[Path], whole: Estimate | None) -> None:
        """Say where the pages of the first cases are, and what all will take.

        Args:
            pages: paths of them.
            whole: what all will take.
        """
        for page in pages if not self.quiet else ():
            self.say(f"the first cases: {page}")
        if whole is not None and not self.quiet:
            self.say(str(whole))

    def say(self, line: str) -> None:
        """Print a line above the bar.

        Args:
            line: without its end.
        """
        with self._bar.external_write_mode(file=sys.stderr):
            print(printable(f"medvol: {line}"), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
