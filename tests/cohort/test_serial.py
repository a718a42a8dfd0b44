# SPDX-License-Identifier: Apache-2.0
"""The serial driver takes units as late as it can, since others may end them."""

from collections.abc import Iterator

from cohort_work import WORK, MakeCohort

from medvol.cohort.drivers.serial import Serial
from medvol.cohort.ledger import DONE
from medvol.cohort.plan import Unit
from medvol.cohort.worker import TOGETHER, Session


def test_no_more_units_are_taken_than_are_done_together(make_cohort: MakeCohort) -> None:
    out, units = make_cohort({f"{number:02}": "" for number in range(TOGETHER + 3)})
    taken: list[str] = []

    def noted() -> Iterator[Unit]:
        for unit in units:
            taken.append(unit.case)
            yield unit

    with Serial(Session(str(out), WORK)) as driver:
        said = driver(noted())
        assert next(said)[0] == units[0].key
        assert len(taken) == TOGETHER
        assert len(list((out / "claims").iterdir())) == TOGETHER - 1
        rest = dict(said)
    assert [state.state for state in rest.values() if state] == [DONE] * (TOGETHER + 2)
    assert [*(out / "claims").iterdir()] == []
