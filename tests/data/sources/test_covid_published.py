# SPDX-License-Identifier: Apache-2.0
"""The published composition: exact sizes, children as negatives, patients whole."""

from collections import Counter
from pathlib import Path

import pytest
from refusals import refused_by

from medvol.data.class_set import ClassSet
from medvol.data.pictures import Picture
from medvol.data.sources.covid_published import SIZES, as_published, by_sizes


def pictures(kind: str, number: int, *, each: int = 1) -> list[Picture]:
    """So many of a kind, `each` of a patient."""
    source = "table" if kind in ("covid", "other") else "second"
    name = "covid" if kind == "covid" else "no_covid"
    return [
        Picture(Path(f"{kind}{k}.png"), name, f"{kind}-{k // each}",
                extra={"finding": kind, "source": source})
        for k in range(number)
    ]  # fmt: skip


CHILDREN_AND_COVID = [
    *pictures("covid", 155, each=2), *pictures("covid", 158)[155:],
    *pictures("normal", 100), *pictures("bacteria", 60, each=3), *pictures("virus", 60),
]  # fmt: skip


def test_parts_have_the_published_sizes_and_patients_are_whole():
    drawn = by_sizes(seed=0)(CHILDREN_AND_COVID)
    counts = Counter(p.part for p in drawn)
    assert counts == SIZES == {"training": 153, "validation": 79, "test": 83}
    classes = Counter((p.part, p.name) for p in drawn)
    assert [classes[part, "covid"] for part in SIZES] == [76, 39, 41]


def test_half_has_covid_and_a_quarter_is_normal():
    made = [*pictures("covid", 8), *pictures("normal", 8), *pictures("virus", 8)]
    drawn = by_sizes({"training": 8, "test": 5}, seed=1)(made)
    assert Counter((p.part, p.extra["finding"]) for p in drawn) == {
        ("training", "covid"): 4, ("training", "normal"): 2, ("training", "virus"): 2,
        ("test", "covid"): 2, ("test", "normal"): 1, ("test", "virus"): 2,
    }  # fmt: skip
    again = by_sizes({"training": 8, "test": 5}, seed=1)(made[::-1])
    assert {p.path: p.part for p in drawn} == {p.path: p.part for p in again}


def test_too_few_pictures_are_refused():
    made = [*pictures("covid", 8), *pictures("normal", 8), *pictures("virus", 3, each=3)]
    error = refused_by(lambda: by_sizes({"training": 8}, seed=0)(made), "E_EMPTY")
    assert error.reason == "2 pictures of kind pneumonia are missing for the training part."


def test_negatives_of_the_first_source_are_left_out():
    mixed = [*pictures("other", 2), *pictures("covid", 2), *pictures("normal", 1),
             *pictures("virus", 1)]  # fmt: skip
    source = ClassSet(mixed, ("no_covid", "covid"), {}, ("first.",), pairs=((0, 1), (2, 3)))
    made = as_published(source)
    assert [p.path.name for p in made.pictures] == [
        "covid0.png", "covid1.png", "normal0.png", "virus0.png"
    ]  # fmt: skip
    assert made.pairs == ((0, 1),)
    assert made.notes[0] == "first."


@pytest.mark.parametrize("second", [[], pictures("normal", 3), pictures("no COVID-19", 3)])
def test_children_of_both_kinds_are_needed(second):
    source = ClassSet([*pictures("covid", 3), *second], ("no_covid", "covid"), {})
    refused_by(lambda: as_published(source), "E_EMPTY")
