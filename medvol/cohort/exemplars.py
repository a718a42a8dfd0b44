# SPDX-License-Identifier: Apache-2.0
"""The first cases of a cohort: a few of all sizes, their pages, and an estimate for the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from ..errors import InputError
from ..outputs.cases import CaseRow, Cases
from ..outputs.record import brief
from ..outputs.registry import INDEX, OUTPUTS, THUMBNAIL
from ..owned import RUN, read_record
from ..text import counted
from .frozen import Frozen
from .ledger import DONE, State
from .plan import Unit

NUMBER = 10
FEWEST = 2 * NUMBER  # of a plan, below which all are looked at anyway
HOUR_S, MINUTE_S = 3600.0, 60.0


class Estimate(NamedTuple):
    """What a whole plan will take.

    Args:
        cases: of the plan.
        seconds: by all workers together, in s.
        size_bytes: of the results.
        workers: at the same time.
    """

    cases: int
    seconds: float
    size_bytes: float
    workers: int

    def __str__(self) -> str:
        """Such as "5,000 cases, about 11 h on 6 workers, 92 GB".

        Example:
            >>> print(Estimate(5000, 237600.0, 92e9, 6))
            5,000 cases, about 11 h on 6 workers, 92 GB
        """
        wall = self.seconds / self.workers
        time = f"{max(1.0, wall / MINUTE_S):.0f} min"
        if wall >= HOUR_S:
            time = _number(wall / HOUR_S) + " h"
        unit, size = ("GB", 1e9) if self.size_bytes >= 1e9 else ("MB", 1e6)
        size_text = f"{_number(self.size_bytes / size)} {unit}"
        return (
            f"{self.cases:,} cases, about {time} on {counted(self.workers, 'worker')}, {size_text}"
        )


def _number(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def exemplars(units: Sequence[Unit]) -> list[Unit]:
    """A few units of every bundle, spread over the sizes, the smallest and largest among them.

    Args:
        units: of the plan.

    Returns:
        None where there are few anyway.

    Example:
        >>> units = [Unit(str(n), f"{n}.nii", "b", size_bytes=n) for n in range(100)]
        >>> [unit.size_bytes for unit in exemplars(units)]
        [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    """
    bundles: dict[str, list[Unit]] = {}
    for unit in units:
        bundles.setdefault(unit.bundle, []).append(unit)
    number = max(2, NUMBER // len(bundles)) if bundles else 0
    if len(units) < FEWEST:
        return []
    found = list[Unit]()
    for some in bundles.values():
        ordered = sorted(some, key=lambda unit: unit.size_bytes)
        steps = {round(n * (len(ordered) - 1) / (number - 1)) for n in range(number)}
        found += [ordered[step] for step in sorted(steps)]
    return found


def estimate(
    units: Sequence[Unit], done: Mapping[str, State], sizes: Mapping[str, int], workers: int
) -> Estimate | None:
    """What all units will take, by those that are done; None where none is.

    Args:
        units: of the plan.
        done: states of some, by key.
        sizes: of their results, bytes.
        workers: at the same time.
    """
    seconds = size = 0.0
    for bundle in dict.fromkeys(unit.bundle for unit in units):
        own = [unit for unit in units if unit.bundle == bundle]
        known = [unit for unit in own if unit.key in done]
        if not known:
            return None
        at = [unit.size_bytes for unit in known]
        seconds += _sum(own, at, [done[unit.key].seconds for unit in known])
        size += _sum(own, at, [sizes[unit.key] for unit in known])
    return Estimate(len(units), seconds, size, workers)


def _sum(units: Sequence[Unit], at: Sequence[int], values: Sequence[float]) -> float:
    """The sum over units of what grows with their size as these values do, on a straight line that
    neither falls nor begins below 0."""
    middle, mean = fmean(at), fmean(values)
    spread = sum((x - middle) ** 2 for x in at)
    slope = sum((x - middle) * y for x, y in zip(at, values, strict=True)) / (spread or 1.0)
    slope = max(0.0, min(slope, mean / middle if middle else 0.0))
    return sum(mean + slope * (unit.size_bytes - middle) for unit in units)


def results_bytes(folder: Path) -> int:
    """Size of all files of a case.

    Args:
        folder: of its results.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_pages(
    out: Path, frozen: Frozen, units: Sequence[Unit], states: Mapping[str, State]
) -> list[Path]:
    """Write a page and a table of some units, for each bundle, into the folder of its results.

    Args:
        out: folder of the cohort.
        frozen: what is fixed of it.
        units: that are shown.
        states: of them, by key.

    Raises:
        InputError: E_OUTPUT, a file of that name is there which is not medvol's own; E_NOSPACE, it
            cannot be written.

    Returns:
        Paths of the pages.
    """
    pages = []
    for bundle in dict.fromkeys(unit.bundle for unit in units):
        results = frozen.results(out, bundle)
        rows = [_row(out, x, states[x.key]) for x in units if x.bundle == bundle if x.key in states]
        whole = replace(results, formats=None, several=True)
        written = whole.save_together(Cases(results.spec, rows))
        pages += [path for name, path in written.items() if name == INDEX]
    return pages


def _row(out: Path, unit: Unit, state: State) -> CaseRow:
    folder = out / unit.key
    if state.state == DONE:
        small = folder / OUTPUTS[THUMBNAIL].file
        thumbnail = small.read_bytes() if small.is_file() else b""
        return CaseRow(unit.case, unit.path, brief(read_record(folder / RUN)), None, thumbnail)
    if not state.is_ended:
        return CaseRow(unit.case, unit.path)
    refusal = InputError(state.code, unit.path, state.reason, state.remedy)
    return CaseRow(unit.case, unit.path, None, refusal)
