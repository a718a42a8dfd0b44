# SPDX-License-Identifier: Apache-2.0
"""Begins refused and quarantined units of a cohort anew, when what was wrong is mended."""

from collections.abc import Collection
from pathlib import Path

from . import frozen
from .claims import this_process
from .ledger import AGAIN, FAILED, QUARANTINED, REFUSED, Ledger
from .plan import read_plan
from .unit import log_of

STATES = (REFUSED, QUARANTINED, FAILED)


def retry(out: Path, codes: Collection[str] = ()) -> list[str]:
    """Forget why units are not done, so that the next run does them; their logs go.

    Args:
        out: folder of the cohort.
        codes: of refusals that are forgotten; none for all.

    Raises:
        InputError: E_PATH, there is no cohort; E_NOSPACE, its ledger cannot be written.

    Returns:
        The keys of the units.
    """
    frozen.read(out)
    ledger = Ledger(out, this_process().worker)
    ledger.refresh()
    found = []
    for unit in read_plan(out / frozen.PLAN):
        state = ledger.state(unit.key)
        if state.state in STATES and (not codes or state.code in codes):
            ledger.add(unit.key, AGAIN)
            log_of(out, unit.key).unlink(missing_ok=True)
            found.append(unit.key)
    return found
