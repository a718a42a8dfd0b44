# SPDX-License-Identifier: Apache-2.0
"""Which cases come first, and what they say of the whole."""

import pytest

from medvol.cohort.exemplars import NUMBER, Estimate, estimate, exemplars
from medvol.cohort.ledger import DONE, State
from medvol.cohort.plan import Unit


def units_of(bundle: str, sizes: range) -> list[Unit]:
    return [Unit(str(size), f"{size}.nii", bundle, size_bytes=size) for size in sizes]


def test_every_bundle_and_the_largest_case_are_among_them() -> None:
    units = units_of("a", range(100)) + units_of("b", range(500, 530)) + units_of("c", range(1))
    found = exemplars(units)
    assert [x.size_bytes for x in found if x.bundle == "a"] == [0, 50, 99]
    assert [x.size_bytes for x in found if x.bundle == "b"] == [500, 514, 529]
    assert [x.size_bytes for x in found if x.bundle == "c"] == [0]


def test_of_a_short_plan_there_are_none() -> None:
    assert exemplars(units_of("a", range(2 * NUMBER - 1))) == []
    assert len(exemplars(units_of("a", range(2 * NUMBER)))) == NUMBER
    assert exemplars([]) == []


def test_what_grows_with_the_size_is_told_for_all_sizes() -> None:
    units = units_of("a", range(1000))
    first = [units[0], units[500], units[999]]
    done = {x.key: State(DONE, seconds=3 + 0.01 * x.size_bytes) for x in first}
    found = estimate(units, done, {x.key: 2 * x.size_bytes for x in first}, 4)
    assert found is not None
    assert found.seconds == pytest.approx(3 * 1000 + 0.01 * 499500)
    assert found.size_bytes == pytest.approx(2 * 499500)
    assert (found.cases, found.workers) == (1000, 4)


@pytest.mark.parametrize("seconds", [(5.0, 5.0), (9.0, 1.0)])
def test_time_that_does_not_grow_is_the_mean(seconds: tuple[float, float]) -> None:
    units = units_of("a", range(1, 101))
    done = {
        x.key: State(DONE, seconds=s) for x, s in zip((units[0], units[-1]), seconds, strict=True)
    }
    found = estimate(units, done, dict.fromkeys(done, 7), 1)
    assert found is not None
    assert (found.seconds, found.size_bytes) == (pytest.approx(500.0), pytest.approx(700.0))


def test_sizes_that_are_not_known_give_the_mean() -> None:
    units = [Unit(str(n), "x", "a") for n in range(50)]
    done = {units[0].key: State(DONE, seconds=2.0), units[1].key: State(DONE, seconds=4.0)}
    found = estimate(units, done, dict.fromkeys(done, 10), 1)
    assert found is not None
    assert (found.seconds, found.size_bytes) == (150.0, 500.0)


def test_a_bundle_of_which_nothing_is_done_has_no_estimate() -> None:
    units = units_of("a", range(30)) + units_of("b", range(30))
    assert estimate(units, {units[0].key: State(DONE, seconds=1.0)}, {units[0].key: 1}, 1) is None


@pytest.mark.parametrize(
    ("seconds", "size", "words"),
    [(50.0, 3e6, "1 min on 2 workers, 3.0 MB"), (7200.0, 2.5e9, "1.0 h on 2 workers, 2.5 GB"),
     (3.6e6, 9e12, "500 h on 2 workers, 9,000 GB")],
)  # fmt: skip
def test_an_estimate_is_said_in_words(seconds: float, size: float, words: str) -> None:
    assert str(Estimate(1234, seconds, size, 2)) == f"1,234 cases, about {words}"
