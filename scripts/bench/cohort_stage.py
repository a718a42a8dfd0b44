# SPDX-License-Identifier: Apache-2.0
"""A cohort of stub cases in a folder: made, driven by processes, judged when these have ended."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from medvol.cohort.frozen import Asked, freeze
from medvol.cohort.ledger import DONE, Ledger, State
from medvol.cohort.plan import Unit, read_plan, write_plan
from medvol.errors import InputError
from medvol.owned import FILES, RUN, checksums, read_record
from medvol.scratch import SCRATCH

from .cohort_kills import notes
from .cohort_stub import LOG

SCRIPT = Path(__file__).resolve().parents[1] / "bench_cohort.py"
BUNDLE = "covid_ct_lesion_3d"  # any that comes with medvol: the stub has its place


class Judged(NamedTuple):
    """What came of a cohort.

    Args:
        states: units of each state.
        lost: units that no line of the ledger names as ended.
        twice: moments at which two processes were at one unit.
        again: units that were begun after they had been finished.
        half: units that are done, whose files are not those that their record names.
        left: unfinished files, which nobody sees who looks for results.
        begun: how often a unit was begun, above one each.
    """

    states: dict[str, int]
    lost: list[str]
    twice: list[str]
    again: list[str]
    half: list[str]
    left: list[str]
    begun: int


class Stage:
    """A folder with a plan of stub cases, and their output.

    Args:
        folder: for all that is made.
        cases: name to what the stub is asked, see `cohort_stub`.
    """

    def __init__(self, folder: Path, cases: Mapping[str, Mapping[str, Any]]) -> None:
        self.out, self.log, self.plan = folder / "out", folder / "log", folder / "plan.csv"
        self.cases = [*cases]
        inputs = folder / "in"
        for place in (inputs, self.log):
            place.mkdir(parents=True, exist_ok=True)
        units = []
        for name, asked in cases.items():
            text = json.dumps(asked)
            path = inputs / f"{sha256(text.encode()).hexdigest()[:8]}.json"
            if not path.exists():
                path.write_text(text)
            units.append(Unit(name, str(path), BUNDLE, size_bytes=path.stat().st_size))
        write_plan(self.plan, units)

    def freeze(self, time_limit_s: float | None = None) -> None:
        """Begin the cohort, which takes a while: what a network runs on is looked at."""
        asked = Asked(time_limit_s=time_limit_s)
        freeze(self.out, read_plan(self.plan), asked, threads=1)

    def drive(self, *words: str, noted: bool = True, **popen: Any) -> subprocess.Popen[str]:
        """Start a process that drives the cohort.

        Args:
            words: of `bench_cohort.py drive`.
            noted: as for `start`.
            popen: more of `subprocess.Popen`.
        """
        command = [sys.executable, str(SCRIPT), "drive", str(self.plan), str(self.out), *words]
        return self.start(command, noted=noted, **popen)

    def start(
        self, command: Sequence[str], *, noted: bool = True, **popen: Any
    ) -> subprocess.Popen[str]:  # fmt: skip
        """Start a process that knows where the stub notes what it does.

        Args:
            command: with its words.
            noted: the stub notes it.
            popen: more of `subprocess.Popen`.
        """
        path = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        variables |= {LOG: str(self.log)} if noted else {}
        return subprocess.Popen(command, env=variables, text=True, **popen)

    def states(self) -> dict[str, State]:
        """What the ledger says of each unit."""
        ledger = Ledger(self.out)
        ledger.refresh()
        return {name: ledger.state(f"{BUNDLE}/{name}") for name in self.cases}

    def number_done(self) -> int:
        """How many units are done, as far as that can be read."""
        with suppress(InputError, OSError):
            return sum(state.state == DONE for state in self.states().values())
        return 0

    def number_computed(self) -> int:
        """How often a case was begun."""
        return sum(word == "begin" for _, _, word, _ in notes(self.log))

    def judged(self) -> Judged:
        """Look at all that is there, when nobody works any more."""
        states, ended, again = self.states(), set[str](), []
        begun, twice = Counter[str](), []
        for _, _, word, key in notes(self.log):
            if word == "twice":
                twice.append(key)
            elif word == "begin":
                begun[key] += 1
                again += [key] if key in ended else []
            else:
                ended.add(key)
        half = [
            name for name, state in states.items() if state.state == DONE and self._is_half(name)
        ]
        left = [str(path) for path in self.out.rglob(f"{SCRATCH}*")]
        return Judged(
            dict(Counter(state.state for state in states.values())),
            [name for name, state in states.items() if not state.is_ended],
            twice, again, half, left, sum(begun.values()) - len(begun),
        )  # fmt: skip

    def _is_half(self, name: str) -> bool:
        folder = self.out / BUNDLE / name
        known = read_record(folder / RUN).get(FILES, {})
        there = checksums(folder)
        return not known or any(there.get(name) != digest for name, digest in known.items())


def wait(processes: Sequence[subprocess.Popen[str]], seconds: float) -> list[int]:
    """Exit codes of processes, which are killed after some time."""
    codes = []
    for process in processes:
        try:
            codes.append(process.wait(seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            codes.append(process.wait())
    return codes
