# SPDX-License-Identifier: Apache-2.0
"""Distributions of figures: one axis for all groups, logarithmic where it must be."""

import numpy as np
import pytest

from medvol.report.distribution import (
    HEIGHT,
    MOST_GROUPS,
    REST,
    WIDTH,
    distribution,
    scale_of,
)


def test_groups_share_an_axis_and_are_told_in_figures() -> None:
    found = distribution("lung_ml", {"b": [10.0, 20.0, 30.0, 40.0], "a": [0.0, 40.0]})
    assert found is not None
    a, b = found.groups
    assert (a.name, a.number, a.lowest, a.highest, a.zero_percent) == ("a", 2, 0.0, 40.0, 50.0)
    assert b.quartiles == (17.5, 25.0, 32.5)
    assert b.places == (WIDTH * 17.5 / 40, WIDTH * 25 / 40, WIDTH * 32.5 / 40)
    assert [(tick.at, tick.text) for tick in found.ticks] == [
        (0, "0"), (150, "10"), (300, "20"), (450, "30"), (600, "40"),
    ]  # fmt: skip


def test_the_highest_bin_of_all_groups_reaches_the_top() -> None:
    """Of b three quarters lie in one bin, of a half: so a is two thirds as high."""
    found = distribution("x", {"a": [4.0, 8.0], "b": [4.0, 4.0, 4.0, 8.0]})
    assert found is not None
    heights = [HEIGHT - min(float(y) for _, y in _corners(group.points)) for group in found.groups]
    assert heights == pytest.approx([HEIGHT * 2 / 3, HEIGHT], abs=0.1)


def _corners(points: str) -> list[list[str]]:
    return [corner.split(",") for corner in points.split()]


def test_a_few_far_values_make_the_axis_logarithmic_and_0_has_a_bin_of_its_own() -> None:
    scale = scale_of(np.array([0.0] * 10 + [1.0] * 10 + [1000.0] * 5), bins=41)
    assert scale.first == 1
    assert scale.edges[[0, 1, -1]].tolist() == pytest.approx([0, 0.1, 1000])
    assert [tick.text for tick in scale.ticks] == ["0", "1", "10", "100", "1,000"]
    assert scale.place(1.0) == pytest.approx(WIDTH * (1 + 40 / 4) / 41)  # the first of 4 decades


def test_many_cases_without_a_lesion_do_not_hide_the_others() -> None:
    found = distribution("lesion_ml", {"": [0.0] * 90 + [100.0] * 5 + [1000.0] * 5})
    assert found is not None
    heights = [HEIGHT - float(y) for _, y in _corners(found.groups[0].points)]
    assert heights.count(HEIGHT) == 3 * 2  # the cut column at 0, and both others
    assert found.groups[0].zero_percent == 90


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0], [-5.0, -5.0, -5.0]])
def test_equal_values(values: list[float]) -> None:
    found = distribution("x", {"": values})
    assert found is not None
    assert found.groups[0].places == (WIDTH / 2,) * 3


@pytest.mark.parametrize(("number", "bins"), [(2, 8), (16, 8), (100, 20), (400, 40), (9000, 40)])
def test_few_cases_have_few_bins(number: int, bins: int) -> None:
    found = distribution("x", {"": [float(n) for n in range(number)]})
    assert found is not None
    assert len(_corners(found.groups[0].points)) == 2 * bins + 2


def test_no_value_and_many_groups() -> None:
    assert distribution("x", {"a": []}) is None
    many = {f"site {n:02}": [1.0] * (50 - n) for n in range(20)}
    found = distribution("x", many)
    assert found is not None
    assert [group.name for group in found.groups] == [*list(many)[: MOST_GROUPS - 1], REST]
    assert sum(group.number for group in found.groups) == sum(map(len, many.values()))
