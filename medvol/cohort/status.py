# SPDX-License-Identifier: Apache-2.0
"""How far a cohort is, by its ledger: quick, since it looks at no result."""

import gc
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..files import read_json
from .claims import SILENT_S, WORKERS
from .frozen import NAME, PLAN
from .ledger import DONE, FAILED, PLANNED, QUARANTINED, REFUSED, RUNNING, Ledger, State
from .plan import read_plan

RECENT = 200  # units that were done last, by which the rate is told
SHOWN = (DONE, RUNNING, PLANNED, FAILED, REFUSED, QUARANTINED)


class Sign(NamedTuple):
    """A worker that gives signs of life.

    Args:
        host: name of its machine.
        pid: its number there.
        age_s: seconds since the last sign.
    """

    host: str
    pid: int
    age_s: float


class Status(NamedTuple):
    """How far a cohort is.

    Args:
        counts: state to number of units, of `SHOWN`.
        why: of refused and quarantined units, the number by code and state.
        remedies: code and state to what helps most of these units.
        rate: units an hour, by the last that were done; 0 where that is not known.
        left_s: seconds for the units that are left at this rate; None where that is not known.
        workers: that give signs of life.
        bad_lines: of the ledger, that are damaged.
    """

    counts: Counter[str]
    why: Counter[tuple[str, str]]
    remedies: Mapping[tuple[str, str], str]
    rate: float
    left_s: float | None
    workers: Sequence[Sign]
    bad_lines: int

    def as_json(self) -> dict[str, Any]:
        """All of it by name, for programs."""
        why = [
            {"code": code, "state": state, "units": n, "remedy": self.remedies[code, state]}
            for (code, state), n in self.why.items()
        ]
        return {
            "units": self.counts.total(), "states": dict(self.counts), "why": why,
            "units_per_hour": self.rate, "left_s": self.left_s,
            "workers": [sign._asdict() for sign in self.workers], "bad_lines": self.bad_lines,
        }  # fmt: skip


def status_of(out: Path) -> Status:
    """How far the cohort in a folder is.

    Args:
        out: its folder.

    Raises:
        InputError: E_PATH, there is none; E_FORMAT, E_PLAN: it is damaged.
    """
    read_json(out / NAME, what="record of a cohort", remedy="Name the output folder of a cohort.")
    ledger = Ledger(out)
    with _without_garbage():
        units = read_plan(out / PLAN)
        ledger.refresh()
    states = [ledger.state(unit.key) for unit in units]
    signs = _signs(out)
    counts = Counter(dict.fromkeys(SHOWN, 0))
    counts.update(x.state if x.state in SHOWN else PLANNED for x in states)
    said: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for x in states:
        if x.state in (REFUSED, QUARANTINED):
            said[x.code, x.state][x.remedy] += 1
    why = Counter({kind: remedies.total() for kind, remedies in said.items()})
    remedies = {kind: remedies.most_common(1)[0][0] for kind, remedies in said.items()}
    rate = _per_hour(states)
    left = counts[PLANNED] + counts[RUNNING] + counts[FAILED]
    left_s = left / rate * 3600 if rate and signs else None
    return Status(counts, why, remedies, rate, left_s, signs, ledger.bad_lines)


@contextmanager
def _without_garbage() -> Iterator[None]:
    """Look for no garbage while much is made that stays."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _signs(out: Path) -> list[Sign]:
    """Workers whose last sign of life is not old, by this machine's clock."""
    found = []
    for path in sorted((out / WORKERS).glob("*.json")):
        with suppress(OSError, ValueError):  # it has just ended, or is damaged
            age_s = max(0.0, time.time() - path.stat().st_mtime)
            said = json.loads(path.read_bytes())
            if age_s < SILENT_S:
                found.append(Sign(str(said["host"]), int(said["pid"]), round(age_s, 1)))
    return found


def _per_hour(states: Sequence[State]) -> float:
    """How many units an hour were done lately."""
    times = sorted(state.time for state in states if state.state == DONE and state.new)[-RECENT:]
    if len(times) < 2:
        return 0.0
    first, last = (datetime.fromisoformat(times[n]) for n in (0, -1))
    seconds = (last - first).total_seconds()
    return (len(times) - 1) / seconds * 3600 if seconds else 0.0


def exit_status(counts: Mapping[str, int]) -> int:
    """0 where all is done, 2 where anything was refused or given up, 1 where something is left.

    Args:
        counts: state to number of units.

    Example:
        >>> [exit_status(x) for x in ({"done": 3}, {"done": 2, "refused": 1}, {"planned": 1})]
        [0, 2, 1]
    """
    if any(
        number and state not in (DONE, REFUSED, QUARANTINED) for state, number in counts.items()
    ):
        return 1
    return 2 if counts.get(REFUSED) or counts.get(QUARANTINED) else 0
