# SPDX-License-Identifier: Apache-2.0
"""Begins units of a cohort anew: refused and quarantined ones, and those whose results are gone."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..owned import RUN
from . import frozen
from .claims import Claims, this_process
from .ledger import AGAIN, DONE, FAILED, QUARANTINED, REFUSED, Ledger
from .plan import read_plan
from .unit import log_of

STATES = (REFUSED, QUARANTINED, FAILED)
ENDED = "logs/snakemake/{}.ended"  # of a key: as the Snakefile has it


def retry(out: Path, codes: Collection[str] = ()) -> list[str]:
    """Forget why units are not done, so that the next run does them; their logs go, and what
    tells Snakemake that they are ended.

    A unit that was done is begun anew where its results are not there any more.

    Args:
        out: folder of the cohort.
        codes: of refusals that are forgotten, and nothing else; none for all.

    Raises:
        InputError: E_PATH, there is no cohort; E_NOSPACE, its ledger cannot be written.

    Returns:
        The keys of the units.
    """
    frozen.read(out)
    units, found = read_plan(out / frozen.PLAN), []
    with Claims(out, this_process()) as claims:  # or who ends meanwhile would compact its file
        ledger = Ledger(out, claims.own.worker)
        ledger.refresh()
        for unit in units:
            state = ledger.state(unit.key)
            is_gone = state.state == DONE and not codes and not (out / unit.key / RUN).exists()
            if is_gone or (state.state in STATES and (not codes or state.code in codes)):
                ledger.add(unit.key, AGAIN)
                for path in (log_of(out, unit.key), out / ENDED.format(unit.key)):
                    with suppress(OSError):  # there is none, or none can be
                        path.unlink()
                found.append(unit.key)
    return found
