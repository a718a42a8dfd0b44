# SPDX-License-Identifier: Apache-2.0
"""The bar over a cohort: what was done before does not count for the rate."""

from pathlib import Path

import pytest

from medvol.cohort.bar import Bar
from medvol.cohort.exemplars import Estimate
from medvol.cohort.ledger import DONE, FAILED, REFUSED


def test_it_shows_how_many_are_ended_refused_and_failed() -> None:
    bar = Bar(10, shown=True)
    bar.counted({DONE: 3, "planned": 7})
    assert (bar._bar.n, bar._bar.initial) == (3, 3)
    bar.counted({DONE: 5, REFUSED: 1, FAILED: 2, "planned": 2})
    assert bar._bar.n == 6
    assert bar._bar.postfix == "refused=1, failed=2"
    bar.counted({DONE: 5, "planned": 5})  # one was begun anew
    assert bar._bar.n == 5
    bar.close()


@pytest.mark.parametrize("quiet", [False, True])
def test_exemplars_are_said_unless_it_is_quiet(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    bar = Bar(10, shown=False, quiet=quiet)
    bar.exemplars([Path("out/b/index.html")], Estimate(10, 60.0, 1e6, 1))
    bar.exemplars([], None)
    bar.close()
    said = (
        "medvol: the first cases: out/b/index.html\n"
        "medvol: 10 cases, about 1 min on 1 worker, 1.0 MB\n"
    )
    assert capsys.readouterr().err == ("" if quiet else said)
