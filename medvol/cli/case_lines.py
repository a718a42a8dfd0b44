# SPDX-License-Identifier: Apache-2.0
"""What `medvol predict` says of its cases: a line each, a summary, or one object for programs."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..engine.explained import lines
from ..errors import InputError
from ..failures import listed
from ..outputs.registry import OUTPUTS
from ..owned import RUN
from ..progress import Bars
from ..text import NOTICE, pace_text

if TYPE_CHECKING:
    from ..engine.confine import Applied
    from ..outputs.cases import CaseRow, Cases
    from ..outputs.results import Results
    from ..tasks.cases import Case
    from ..tasks.predicting import Explained, Outcome

# what an answer can have -> key of its record
KEYS = {"mask": "measurements", "slices": "slices", "classes": "classes"}
TABLES_S = 60.0  # between two writings of the tables, which of thousands of cases takes seconds
FEW = 20  # images that get a line each; more get one only where they get files of their own


class CaseLines:
    """Says what comes of each case, between bars, and keeps it for tables.

    Args:
        results: where files are written.
        cases: of the run.
        bars: that are shown meanwhile.
        quiet: nothing but refusals is said.
        as_object: one object is printed at the end, and nothing else.
    """

    def __init__(
        self, results: "Results", cases: "Sequence[Case]", bars: Bars, *, quiet: bool,
        as_object: bool = False,
    ) -> None:  # fmt: skip
        self.results, self.cases, self.bars = results, cases, bars
        self.quiet, self.as_object = quiet or as_object, as_object
        self.rows: list[CaseRow] = []
        self.refused: list[InputError] = []
        self.computed = 0
        self.started = self.written = time.perf_counter()
        self.with_files = results.alone != []
        self.applied: Applied | None = None
        self.explained: Explained | None = None

    def confined(self, applied: "Applied | None") -> None:
        """Say how a bundle is confined that carries code; nothing of one that need not be."""
        self.applied = applied
        if applied is not None and not self.quiet:
            words = f"{self.results.spec.name} carries code, so it runs confined: {applied}."
            self.bars.say(f"medvol: {words}", sys.stderr)

    def explain(self, found: "Explained | InputError") -> None:
        """Say what runs the bundle, and what took the place of which part; also where all else is
        quiet, since it is asked for."""
        if isinstance(found, InputError):
            raise found
        self.explained = found
        if not self.as_object:
            for line in lines(*found):
                self.bars.say(line, sys.stdout)

    def begin(self, case: "Case") -> None:
        """Say which case is waited for."""
        self.bars.name = case.name

    def end(self, case: "Case", found: "Outcome | InputError") -> None:
        """Say what came of it."""
        from ..outputs.cases import CaseRow

        self.bars.end_case()
        if isinstance(found, InputError):
            self.refused.append(found)
            self.rows.append(CaseRow(case.name, case.path, refusal=found))
            self.bars.say(f"medvol: {found}", sys.stderr)
            return
        self.computed += found.is_new
        self.rows.append(CaseRow(case.name, case.path, found.found, thumbnail=found.thumbnail))
        if self.quiet:
            return
        for remark in found.remarks:
            self.bars.say(f"medvol: {case.name}: {remark}", sys.stderr)
        if self.with_files or len(self.cases) <= FEW:
            place = f" -> {self.results.folder / case.name}" if self.with_files else ""
            self.bars.say(found.said + place, sys.stdout)

    def lacks_room(self) -> bool:
        """Whether the last case was refused since it could not be written."""
        return bool(self.refused) and self.rows[-1].refusal is self.refused[-1] and (
            self.refused[-1].code == "E_NOSPACE"
        )  # fmt: skip

    def stop(self) -> None:
        """Say that the run ends here, and what becomes of it."""
        done, rest = len(self.rows) - len(self.refused), len(self.cases) - len(self.rows)
        if rest:
            words = (
                f"medvol: the disk is full: {done} of {len(self.cases)} are done and stay, {rest} "
                "were not begun. Free some space, and run the same command again."
            )
            self.bars.say(words, sys.stderr)

    def keep(self) -> None:
        """Write the tables now and then, so that they can be looked at before the end."""
        if time.perf_counter() - self.written >= TABLES_S:
            with suppress(InputError):  # such as a table that was changed; it is said at the end
                self.results.save_together(self.all())
            self.written = time.perf_counter()

    def all(self) -> "Cases":
        """What came of all cases, also those that were not reached."""
        from ..outputs.cases import CaseRow, Cases

        rest = self.cases[len(self.rows) :]
        rows = [*self.rows, *(CaseRow(case.name, case.path) for case in rest)]
        return Cases(self.results.spec, rows)

    def summary(self, cases: "Cases", tables: Mapping[str, Path]) -> None:
        """Say how many of which answer there are, where the tables lie, and what was refused."""
        if tables and not self.quiet:
            seconds = time.perf_counter() - self.started
            pace = pace_text(self.computed, seconds, unit=cases.unit) if self.computed else (
                f"{seconds:.1f} s"
            )  # fmt: skip
            places = ", ".join(map(str, tables.values()))
            complete = len(self.rows) - len(self.refused) - self.computed
            self.bars.say(f"{cases.summary(complete)} ({pace}) -> {places}", sys.stdout)
        if self.refused and len(self.cases) > 1:
            print(listed(self.refused, len(self.cases)), file=sys.stderr)

    def as_json(
        self, cases: "Cases", tables: Mapping[str, Path], *, again: Sequence[str] = (),
        stored: Mapping[str, int] = MappingProxyType({}),
    ) -> str:  # fmt: skip
        """Everything that a program needs to go on, as one JSON object.

        `bundle`; of one that carries code `confinement`, what the system enforces and what not;
        with `--explain` `explained`, what runs the bundle; `output`, the folder; `tables`, format
        to path of the files for all cases; `seconds`; and `cases`: name, `image`, `state`; of one
        that was predicted `folder`, `files` (format to path) and what its `run.json` says; of a
        refused one `refusal`. Of a run that was repeated also `again`: what differs from the
        earlier one, a line each. Of a run with `--store` a case has `stored`, how many objects the
        archive has of it.
        """
        spec, folder = cases.spec, self.results.folder
        content = {
            "notice": NOTICE,
            "bundle": {"name": spec.name, "version": spec.version,
                       "weights_sha256": spec.weights_sha256},
            **({} if self.applied is None else {"confinement": self.applied.as_json()}),
            "output": str(folder),
            **({} if self.explained is None else {"explained": self.explained._asdict()}),
            "tables": {name: str(path) for name, path in tables.items()},
            "seconds": round(time.perf_counter() - self.started, 3),
            "cases": [self._object(row, stored.get(row.case)) for row in cases.rows],
            **({"again": [*again]} if again else {}),
        }  # fmt: skip
        return json.dumps(content, indent=2, allow_nan=False, default=str)

    def _object(self, row: "CaseRow", stored: int | None) -> dict[str, Any]:
        said: dict[str, Any] = {"case": row.case, "image": row.path, "state": row.state}
        if stored is not None:
            said["stored"] = stored
        if row.refusal is not None:
            said["refusal"] = row.refusal.as_json()
        if row.found is None:
            return said
        if "files" not in row.found:
            return {**said, **row.found}
        place = self.results.folder / row.case
        tops = {RUN, *(name.partition("/")[0] for name in row.found["files"])}
        gives = {what for what, key in KEYS.items() if key in row.found}
        files = {
            x.name: str(place / x.file)
            for x in OUTPUTS.values()
            if x.file in tops and not x.lacks(gives)  # a radiograph's overlay.png is its map
        }
        return {**said, **row.found, "folder": str(place), "files": files}
