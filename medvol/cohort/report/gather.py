# SPDX-License-Identifier: Apache-2.0
"""Everything that is known of every unit of a cohort: from its plan, its ledger and its records."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from ...bundle.spec import Spec, read_spec
from ...codes import ERROR_CODES
from ...errors import InputError
from ...outputs.cases import CaseRow, Cases, Value
from ...outputs.registry import OUTPUTS
from ...owned import FILES, RUN, read_record
from ...progress import OF_A_RUN
from .. import frozen
from ..ledger import DONE, Ledger, State
from ..plan import Unit, read_plan
from .figures import undecided

GONE = "gone"  # the ledger says done, and the record is not there
READERS = 8  # threads: of a network share it is the waiting that takes long
MASK = OUTPUTS["nii"].file


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of a unit.

    Args:
        unit: of the plan.
        state: of `ledger.STATES`, or `GONE`.
        said: of the ledger.
        reason: why it was refused or failed, without folders, which may say who the patient is.
        answer: in words; or empty.
        values: every figure by name, as `outputs.cases.Cases.values`.
        notes: code and sentence each.
        undecided: how near the answer is to another one, 0 to 1; comparable within a bundle; None
            where that is not known.
        mask: SHA-256 of the mask; or empty.
        seconds: that it took in s, without loading the network; None where that is not known.
        peak_bytes: of memory; None where that is not known.
    """

    unit: Unit
    state: str
    said: State
    reason: str = ""
    answer: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    notes: Sequence[tuple[str, str]] = ()
    undecided: float | None = None
    mask: str = ""
    seconds: float | None = None
    peak_bytes: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.state == DONE


@dataclass(frozen=True)
class Gathered:
    """A cohort.

    Args:
        folder: of its results.
        fixed: what all its workers have in common.
        specs: name of a bundle to what it is.
        results: of every unit, in the order of the plan.
    """

    folder: Path
    fixed: frozen.Frozen
    specs: Mapping[str, Spec]
    results: Sequence[Result]

    def of(self, bundle: str) -> list[Result]:
        """The units of a bundle that have an answer.

        Args:
            bundle: name of it.
        """
        return [x for x in self.results if x.unit.bundle == bundle and x.is_done]


def gather(folder: Path) -> Gathered:
    """Read plan, ledger and the record of every unit.

    A unit that the ledger does not know as ended, but whose record is whole, is done: the truth are
    the files.

    Args:
        folder: of a cohort's results.

    Raises:
        InputError: E_PATH, E_PLAN, E_BUNDLE: it is not such a folder, or a bundle is not there.
    """
    fixed = frozen.read(folder)
    specs = {name: _spec(name, bundle.given) for name, bundle in fixed.bundles.items()}
    ledger = Ledger(folder)
    ledger.refresh()

    def result(unit: Unit) -> Result:
        return _result(folder, unit, ledger.state(unit.key), specs[unit.bundle])

    with ThreadPoolExecutor(READERS) as threads:
        results = list(threads.map(result, read_plan(folder / frozen.PLAN)))
    return Gathered(folder, fixed, specs, results)


def _spec(name: str, given: str) -> Spec:
    """A bundle where it was when the cohort began, or else by its name."""
    try:
        return read_spec(given)
    except InputError:
        return read_spec(name)


def _result(folder: Path, unit: Unit, said: State, spec: Spec) -> Result:
    ended = said.is_ended and said.state != DONE
    found = {} if ended else read_record(folder / unit.key / RUN)
    if not found:
        return Result(
            unit,
            GONE if said.state == DONE else said.state,
            said,
            reason=_without_folders(unit, said),
            seconds=said.seconds or None,
            peak_bytes=said.peak_bytes or None,
        )
    row = CaseRow(unit.case, unit.path, found)
    spent = [seconds for stage, seconds in row.times_s.items() if stage not in OF_A_RUN]
    return Result(
        unit,
        DONE,
        said,
        answer=intern(row.answer),
        values={intern(name): value for name, value in Cases(spec, ()).values(row).items()},
        notes=[(intern(code), intern(text)) for code, text in found.get("notes", ())],
        undecided=undecided(found),
        mask=found[FILES].get(MASK, ""),
        seconds=sum(spent) if spent else None,
        peak_bytes=found.get("peak_memory_bytes"),
    )


def _without_folders(unit: Unit, said: State) -> str:
    """Why a unit was refused or failed, without folders; or empty."""
    if not said.reason:
        return ""
    code = said.code if said.code in ERROR_CODES else "E_FAILED"
    refusal = InputError(code, unit.path, said.reason, said.remedy)
    return CaseRow(unit.case, unit.path, refusal=refusal).reason
