# SPDX-License-Identifier: Apache-2.0
"""What a gate costs, added up by hand."""

import math
from typing import Any

import numpy as np
import pytest

from medvol.metrics.masks.gate_cost import Cost, GateCase, choose, gate_cost
from medvol.slices import Passing


def case(name: str, probability: list[float], **counts: Any) -> GateCase:
    """A case whose slices are those of the network, 10 seconds a volume and 1 for its gate."""
    slices = len(probability)
    given = {"true": [0] * slices, "predicted": [0] * slices, "both": [0] * slices, **counts}
    arrays = {key: np.array(values) for key, values in given.items()}
    nearest = arrays.pop("nearest", np.arange(slices))
    return GateCase(name, np.array(probability), nearest, **arrays, voxel_ml=0.5,
                    gate_s=1.0, segment_s=10.0)  # fmt: skip


def share(passing: Passing) -> float:
    return float(passing.mean())


def costs(*cases: GateCase, threshold: float = 0.5, margin: int = 0, gap: int = 0) -> Cost:
    return gate_cost(cases, threshold, margin=margin, gap=gap, share=share)


ILL = case(
    "ill", [0.1, 0.6, 0.9, 0.2, 0.1], true=[0, 40, 50, 10, 0], predicted=[4, 40, 40, 0, 4],
    both=[0, 30, 40, 0, 0],
)  # fmt: skip
WELL = case("well", [0.1, 0.7, 0.1, 0.1, 0.1], predicted=[6, 2, 0, 0, 0])


def test_one_threshold_by_hand() -> None:
    """Slices 1 and 2 of the first pass, slice 1 of the second: 5 s of 20, and 2 of the gates."""
    found = costs(ILL, WELL)
    assert found.threshold == 0.5
    assert found.missed_ml == 5.0  # 10 voxels
    assert found.missed_percent == 10.0
    assert found.missed_cases == 0
    assert found.passed_percent == 30.0
    assert (found.false_slices, found.false_percent) == (1, pytest.approx(100 / 7))
    # behind the gate 70 common voxels, 82 marked, 100 true; without it 96 marked
    assert found.dice == pytest.approx(140 / 182)
    assert found.dice_change == pytest.approx(140 / 182 - 140 / 196)
    assert found.seconds == pytest.approx(2 + 10 * 0.4 + 10 * 0.2)
    assert found.saved_percent == pytest.approx(60.0)


def test_margin_finds_what_the_threshold_misses_and_costs_time() -> None:
    found = costs(ILL, WELL, margin=1)
    assert found.missed_ml == 0
    assert (found.false_slices, found.passed_percent) == (4, 70.0)
    assert found.saved_percent == pytest.approx(100 - 100 * (2 + 8 + 6) / 20)


def test_gap_between_slices_that_pass_is_closed() -> None:
    gap = case("gap", [0.9, 0.1, 0.9, 0.1], true=[1, 1, 1, 1])
    assert [costs(gap, gap=most).missed_ml for most in (0, 1)] == [1.0, 0.5]


def test_gate_that_passes_everything_costs_its_own_time() -> None:
    found = costs(ILL, WELL, threshold=0.0)
    assert (found.missed_ml, found.missed_cases, found.dice_change) == (0, 0, 0)
    assert (found.passed_percent, found.false_percent) == (100, 100)
    assert found.saved_percent == pytest.approx(-10)


def test_a_case_is_missed_when_none_of_its_slices_with_lesion_passes() -> None:
    beside = case("beside", [0.9, 0.1, 0.1], true=[0, 8, 0])
    assert costs(beside).missed_cases == 1
    assert costs(beside, margin=1).missed_cases == 0
    assert costs(beside, ILL, threshold=0.95).missed_cases == 2
    assert costs(beside, ILL, threshold=0.95).missed_percent == 100


def test_slices_of_the_input_follow_the_nearest_of_the_network() -> None:
    """Six thin slices on two thick ones; the last lies outside the crop and is never segmented."""
    thin = case(
        "thin", [0.9, 0.1], nearest=np.array([0, 0, 0, 1, 1, -1]), true=[1, 1, 1, 1, 1, 1],
        predicted=[0] * 6, both=[0] * 6,
    )  # fmt: skip
    assert costs(thin).missed_ml == 1.5
    assert costs(thin, threshold=0.0).missed_ml == 0.5


def test_without_any_lesion_shares_of_it_are_no_number() -> None:
    found = costs(case("well", [0.1, 0.9]))
    assert found.missed_ml == 0
    assert math.isnan(found.missed_percent)
    assert math.isnan(found.dice)
    assert found.missed_cases == 0
    assert math.isnan(costs(case("all ill", [0.1], true=[3])).false_percent)


def row(threshold: float, missed_percent: float, missed_cases: int = 0) -> Cost:
    return Cost(threshold, 0.0, missed_percent, missed_cases, *[0.0] * 7)  # type: ignore


@pytest.mark.parametrize(
    ("rows", "most", "chosen"),
    [
        ([row(0.5, 4), row(0.1, 0.2), row(0.3, 0.9)], 1.0, 0.3),
        ([row(0.1, 0.2), row(0.3, 0.9, 1), row(0.5, 0.9)], 1.0, 0.5),
        ([row(0.1, 0.2), row(0.3, 0.9, 1)], 1.0, 0.1),
        ([row(0.1, 0.2), row(0.3, 1.0), row(0.5, 1.01)], 1.0, 0.3),
        ([row(0.1, 0.2), row(0.3, 0.9), row(0.5, 4)], 5.0, 0.5),
        ([row(0.1, 2), row(0.3, 3)], 1.0, 0.1),  # none is good: the one that hides least
        ([row(0.1, math.nan), row(0.3, math.nan)], 1.0, 0.3),  # no lesion, nothing to hide
    ],
)
def test_highest_threshold_that_hides_little_is_chosen(
    rows: list[Cost], most: float, chosen: float
) -> None:
    assert choose(rows, most_missed_percent=most).threshold == chosen
