# SPDX-License-Identifier: Apache-2.0
"""Outliers of a cohort: by a robust z-score within a group."""

from pathlib import Path

import numpy as np
import pytest
from cohorts import CT, RADIOGRAPH, MadeCohort, classes, volumes

from medvol.cohort.report.gather import gather
from medvol.cohort.report.outliers import FARTHEST, LEAST, modified_z, outliers


def test_the_score_is_that_of_iglewicz_and_hoaglin() -> None:
    """By hand: median 3, absolute deviations 2, 1, 0, 1, 7, their median 1; 0.6745 * 7 / 1."""
    assert modified_z(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))[-1] == pytest.approx(0.6745 * 7, 1e-4)


def test_where_most_values_are_equal_the_mean_deviation_counts() -> None:
    """Deviations 0, 0, 0, 4: their median is 0, their mean 1."""
    assert modified_z(np.array([1.0, 1.0, 1.0, 5.0]))[-1] == pytest.approx(4 / 1.253314)


def made(folder: Path, lungs_ml: list[float], groups: list[str] | None = None) -> Path:
    cohort = MadeCohort(folder)
    for number, lung in enumerate(lungs_ml):
        group = groups[number] if groups else ""
        cohort.done(cohort.unit(f"ct_{number}", group=group), volumes(0, 0, lung))
    return cohort.finish()


USUAL = [4000.0 + 50 * n for n in range(LEAST)]


def test_a_lung_that_was_hardly_found_is_one(tmp_path: Path) -> None:
    found = outliers(gather(made(tmp_path, [*USUAL, 900.0])))
    assert list(found) == [f"{CT}/ct_{LEAST}"]
    (one,) = found.values()
    assert one.value == 900
    assert one.median == 4200  # of 900, 4000, 4050, ..., 4450
    assert one.z < -FARTHEST


def test_a_group_is_its_own_measure_where_it_is_large_enough(tmp_path: Path) -> None:
    children = [ml / 4 for ml in USUAL]
    together = made(tmp_path / "a", [*USUAL, *USUAL, *children])
    assert len(outliers(gather(together))) == len(children)
    groups = ["adults"] * 2 * LEAST + ["children"] * LEAST
    apart = made(tmp_path / "b", [*USUAL, *USUAL, *children], groups)
    assert outliers(gather(apart)) == {}
    few = made(tmp_path / "c", [*USUAL, 900.0], ["adults"] * LEAST + ["children"])
    assert len(outliers(gather(few))) == 1


def test_of_few_cases_nothing_is_said(tmp_path: Path) -> None:
    assert outliers(gather(made(tmp_path, [*USUAL[: LEAST - 2], 9.0]))) == {}


def test_no_lesion_is_no_small_lesion(tmp_path: Path) -> None:
    """Half of the cases have none: these are no measure for the others, and no outliers."""
    cohort = MadeCohort(tmp_path)
    amounts = [0.0] * LEAST + [20.0 + n for n in range(LEAST)] + [900.0]
    for number, ml in enumerate(amounts):
        cohort.done(cohort.unit(f"ct_{number:02}"), volumes(ml, 0, 4000 + 300 * (number % 5)))
    found = outliers(gather(cohort.finish()))
    assert list(found) == [f"{CT}/ct_{2 * LEAST}"]
    assert found[f"{CT}/ct_{2 * LEAST}"].median == 25


def test_probabilities_are_compared_as_they_are(tmp_path: Path) -> None:
    cohort = MadeCohort(tmp_path, [RADIOGRAPH])
    for number in range(LEAST):
        cohort.done(cohort.unit(f"x_{number}", RADIOGRAPH), classes(0.1 + number / 100))
    cohort.done(cohort.unit("last", RADIOGRAPH), classes(0.9))
    (one,) = outliers(gather(cohort.finish())).values()
    values = np.array([0.1 + number / 100 for number in range(LEAST)] + [0.9])
    assert one.figure in ("probability_normal", "probability_pneumonia")
    assert abs(one.z) == pytest.approx(modified_z(values)[-1], rel=1e-3)
