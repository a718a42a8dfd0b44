# SPDX-License-Identifier: Apache-2.0
"""The loss of slice and places, by numbers worked out by hand."""

import math
import re
from typing import Any

import pytest
import torch

from medvol.training.slice_loss import SlicePlacesLoss

NOTHING = torch.zeros(1, 1, 32, 16, dtype=torch.uint8)  # two places, one above the other


def marked(rows: slice, columns: slice, value: int = 1) -> torch.Tensor:
    labels = NOTHING.clone()
    labels[0, 0, rows, columns] = value
    return labels


def loss(log_odds: list[float], labels: torch.Tensor, **settings: Any) -> float:
    given = {"values": [1, 2], "smallest_pixels": 8, **settings}
    return float(SlicePlacesLoss(**given)(torch.tensor([log_odds]), labels))


def cost(probability: float) -> float:
    return -math.log(probability)


def test_at_even_odds_each_part_costs_log_2() -> None:
    assert loss([0.0, 0.0, 0.0], NOTHING) == pytest.approx(2 * math.log(2))
    lesion = marked(slice(0, 4), slice(0, 4))
    # the slice, and the mean of two places of which the marked one counts twice
    assert loss([0.0, 0.0, 0.0], lesion) == pytest.approx(math.log(2) * (1 + 1.5))


def test_the_right_place_is_rewarded() -> None:
    lesion = marked(slice(20, 24), slice(4, 8), value=2)
    odds = math.log(3)  # 3 to 1: probability 0.75
    right = loss([odds, -odds, odds], lesion)
    wrong = loss([odds, odds, -odds], lesion)
    assert right == pytest.approx(cost(0.75) + (cost(0.75) + 2 * cost(0.75)) / 2, rel=1e-5)
    assert wrong == pytest.approx(cost(0.75) + (cost(0.25) + 2 * cost(0.25)) / 2, rel=1e-5)


def test_few_pixels_make_no_positive_slice_and_half_a_block_a_place() -> None:
    """8 pixels in one block of 16: a place. As two halves of blocks: none."""
    together, odds = marked(slice(0, 4), slice(0, 2)), math.log(3)
    apart = marked(slice(0, 2), slice(2, 6))
    place, none = (cost(0.25) + 2 * cost(0.75)) / 2, (cost(0.25) + cost(0.25)) / 2
    for labels, places in ((together, place), (apart, none)):
        assert loss([0.0, odds, odds], labels) == pytest.approx(math.log(2) + places, rel=1e-5)
    few = loss([odds, -odds, -odds], apart, smallest_pixels=9)
    assert few == pytest.approx(cost(0.25) + cost(0.75), rel=1e-5)


def test_other_labels_are_none_of_it() -> None:
    lung = marked(slice(0, 32), slice(0, 16), value=3)
    assert loss([0.3, 0.1, -0.2], lung) == loss([0.3, 0.1, -0.2], NOTHING)


def test_places_of_another_size_are_refused() -> None:
    words = "3 places for labels (1, 1, 32, 16); 2 x 1 are expected, at a stride of 16"
    with pytest.raises(ValueError, match=re.escape(words)):
        loss([0.0] * 4, NOTHING)


@pytest.mark.parametrize("bad", [{"values": []}, {"smallest_pixels": 0}, {"stride": 2}])
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give one label or more"):
        loss([0.0] * 3, NOTHING, **bad)
