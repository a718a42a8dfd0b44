# SPDX-License-Identifier: Apache-2.0
"""Which cases are reviewed."""

from pathlib import Path

from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.report.gather import gather
from medvol.cohort.report.samples import BY_CHANCE, EACH, MOST_UNDECIDED, samples


def made(folder: Path, number: int) -> MadeCohort:
    cohort = MadeCohort(folder)
    for n in range(number):
        found = {**volumes(float(n)), "undecided": (number - n) / 1000}
        cohort.done(cohort.unit(f"ct_{n:03}"), found)
    return cohort


def drawn(found: dict[str, list[str]], why: str) -> list[str]:
    return [key.rpartition("_")[2] for key, reasons in found.items() if why in reasons]


def test_twenty_of_each_kind(tmp_path: Path) -> None:
    cohort = made(tmp_path, 60)
    cohort.unit("not done")
    found = samples(gather(cohort.finish()))
    highest = [f"{n:03}" for n in range(59, 59 - EACH, -1)]
    assert sorted(drawn(found, "largest"), reverse=True) == highest
    assert sorted(drawn(found, MOST_UNDECIDED)) == [f"{n:03}" for n in range(EACH)]
    chance = drawn(found, BY_CHANCE)
    assert len(chance) == EACH
    assert set(chance) != set(highest)


def test_chance_is_the_same_again_and_mostly_when_the_cohort_grows(tmp_path: Path) -> None:
    few, more = (gather(made(tmp_path / str(n), n).finish()) for n in (60, 63))
    first = set(drawn(samples(few), BY_CHANCE))
    assert set(drawn(samples(few), BY_CHANCE)) == first
    assert len(first & set(drawn(samples(more), BY_CHANCE))) >= EACH - 3
    assert set(drawn(samples(few, seed=16), BY_CHANCE)) != first


def test_each_bundle_has_its_own(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path, (CT, RADIOGRAPH))
    cohort.done(cohort.unit("ct"), volumes(0))
    cohort.done(cohort.unit("x", RADIOGRAPH), classes(0.75))
    assert samples(gather(cohort.finish())) == {
        f"{CT}/ct": [BY_CHANCE],  # nothing marked is neither large nor undecided
        f"{RADIOGRAPH}/x": [BY_CHANCE, MOST_UNDECIDED, "most certain"],
    }
