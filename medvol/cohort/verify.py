# SPDX-License-Identifier: Apache-2.0
"""Looks whether the results of a cohort are there and whole, and whether they come out again."""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..dicomweb.at_hand import AtHand
from ..errors import InputError
from ..failures import FAILURES, failure
from ..files import sha256_of
from ..outputs.registry import OUTPUTS
from ..owned import FILES, RUN, read_record
from ..scratch import TEMPORARY, prefix
from ..tasks.predictor import START, Predictor
from ..tasks.task import task_of
from .frozen import PLAN, Frozen
from .ledger import DONE, Ledger, State
from .plan import Unit, read_plan
from .unit import case_of, outputs_sha256

# pages and records say how long the work took, and DICOM says when it was done
DATED = frozenset(x.file for x in OUTPUTS.values() if x.shows or x.of_dicom)


class Fault(NamedTuple):
    """What is wrong with a unit's results.

    Args:
        key: of the unit.
        what: one sentence.
    """

    key: str
    what: str


def done_units(out: Path) -> list[tuple[Unit, State]]:
    """The units of a cohort that are done, in the order of the plan.

    Args:
        out: folder of the cohort.

    Raises:
        InputError: E_PATH, E_PLAN: there is none, or it is damaged.
    """
    ledger = Ledger(out)
    ledger.refresh()
    found = ((unit, ledger.state(unit.key)) for unit in read_plan(out / PLAN))
    return [(unit, state) for unit, state in found if state.state == DONE]


def fault_of(out: Path, unit: Unit, state: State, *, files: bool) -> Fault | None:
    """What is wrong with the files of a unit that is done; None where nothing is.

    Args:
        out: folder of the cohort.
        unit, state: as of `done_units`.
        files: their contents are compared with their checksums, too.
    """
    folder = out / unit.key
    record = read_record(folder / RUN)
    if not record:
        return Fault(unit.key, f"{RUN} is not there, or was changed.")
    if outputs_sha256(record) != state.outputs:
        return Fault(unit.key, "its results are not those that were written.")
    for name, digest in record[FILES].items():
        path = folder / name
        if not path.exists():
            return Fault(unit.key, f"{name} is not there.")
        if files and not path.is_symlink() and sha256_of(path) != digest:
            return Fault(unit.key, f"{name} was changed.")
    return None


def sample(units: Sequence[Unit], share: float, seed: int) -> list[Unit]:
    """Some units at random, at least one of any, in their order.

    Args:
        units: to take of.
        share: of them, 0 to 1; 0 takes none.
        seed: by which the same are taken again.

    Example:
        >>> units = [Unit(str(number), "x", "b") for number in range(250)]
        >>> len(sample(units, 0.01, 0)), sample(units, 0.01, 0) == sample(units, 0.01, 0)
        (3, True)
    """
    number = min(len(units), -int(-len(units) * share // 1))
    taken = random.Random(seed).sample(range(len(units)), number)
    return [units[place] for place in sorted(taken)]


def compared_again(
    out: Path, fixed: Frozen, units: Sequence[Unit], *, work: str = START,
    heard: Callable[[], object] = lambda: None,
) -> Iterator[Fault]:  # fmt: skip
    """Compute units again, elsewhere, and compare the files that name no time.

    Args:
        out: folder of the cohort.
        fixed: of it.
        units: that are done.
        work: as for `Predictor`.
        heard: is called after each.

    Raises:
        InputError: E_OUTPUT, medvol or a bundle is not that of the cohort; E_NOSPACE, there is no
            room for a case.

    Returns:
        A fault for each unit that does not come out as it did.
    """
    with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as scratch:
        for bundle in dict.fromkeys(unit.bundle for unit in units):
            results = fixed.results(Path(scratch), bundle)
            with Predictor(results, fixed.time_limit_s, work=work) as predictor:
                for unit in (unit for unit in units if unit.bundle == bundle):
                    if fault := _again(out, unit, predictor):
                        yield fault
                    shutil.rmtree(results.folder / unit.case, ignore_errors=True)
                    heard()


def _again(out: Path, unit: Unit, predictor: Predictor) -> Fault | None:
    alone = task_of(predictor.results.spec).kind == "radiograph"
    with AtHand() as hand:
        try:
            (found,) = predictor([case_of(unit, hand, alone=alone)])
        except FAILURES as error:
            found = failure(error, unit.path)
        if isinstance(found, InputError):
            if found.code == "E_NOSPACE":
                raise found
            return Fault(unit.key, f"this time it is refused: {hand.refusal(found)}")
    before = read_record(out / unit.key / RUN).get(FILES, {})
    after = read_record(predictor.results.folder / unit.case / RUN).get(FILES, {})
    for name in sorted({*before, *after}):
        if name.partition("/")[0] not in DATED and before.get(name) != after.get(name):
            return Fault(unit.key, f"{name} comes out otherwise.")
    return None
