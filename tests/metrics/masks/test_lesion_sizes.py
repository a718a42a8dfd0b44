# SPDX-License-Identifier: Apache-2.0
"""Lesions by their size: which group each belongs to, and the figures of a group over cases."""

import math

import pytest

from medvol.metrics.intervals import leave_out
from medvol.metrics.masks.lesion_matching import MatchedLesion
from medvol.metrics.masks.lesion_sizes import (
    EDGES_ML,
    SIZES,
    count_sizes,
    size_of,
    summarise_sizes,
)


def lesion(voxels: int, partners: int, *, true: bool = True) -> MatchedLesion:
    return MatchedLesion(true, voxels, partners, partners, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("edge", EDGES_ML)
def test_a_lesion_at_an_edge_has_the_larger_size(edge: float) -> None:
    at = EDGES_ML.index(edge)
    assert [size_of(x) for x in (0.999 * edge, edge, 1.001 * edge)] == [at, at + 1, at + 1]
    assert size_of(3 * (edge / 3)) == at + 1
    assert len(SIZES) == len(EDGES_ML) + 1


def test_ten_voxels_of_a_hundredth_are_a_tenth() -> None:
    assert 0.07 + 0.03 > 0.1 * 0.999
    assert size_of(3 * 0.1 / 3) == size_of(10 * 0.00999999999999999) == 1


def test_figures_by_hand() -> None:
    cases = [
        [lesion(5, 0), lesion(50, 1), lesion(500, 0), lesion(60, 1, true=False)],
        [lesion(50, 0), lesion(50, 2), lesion(2000, 1), lesion(5, 0, true=False)],
        [lesion(70, 0, true=False), lesion(70, 0, true=False)],
    ]
    counts = [count_sizes(case, 0.01) for case in cases]
    rows = summarise_sizes(counts, leave_out("abc"))
    assert [tuple(row.counts) for row in rows] == [
        (1, 0, 1, 1), (3, 2, 3, 2), (1, 0, 0, 0), (1, 1, 0, 0),
    ]  # fmt: skip
    assert rows[1].sensitivity.value == pytest.approx(2 / 3)
    assert rows[1].false_per_case.value == pytest.approx(2 / 3)
    assert rows[1].false_per_case.withheld == "of fewer than 5 patients"
    many = summarise_sizes(counts * 5, leave_out([f"{n}" for n in range(15)]))[1]
    assert 0 < many.false_per_case.low < 2 / 3 < 1 < many.false_per_case.high
    assert 0.3 < many.sensitivity.low < 2 / 3 < many.sensitivity.high < 1
    assert math.isnan(summarise_sizes(counts[2:], leave_out("c"))[1].sensitivity.value)
    assert rows[3].record()["sensitivity"]["value"] == 1.0
    assert rows[3].record()["size"] == "≥ 10 ml"
