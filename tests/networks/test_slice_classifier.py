# SPDX-License-Identifier: Apache-2.0
"""The slice classifier: the family's contract, and the area behind a slice's score."""

import math
import re
from typing import Any, ClassVar

import pytest
import torch
from contracts.networks import ClassificationContract

from medvol.networks.slice_classifier import SliceClassifier, log_odds_of_area, marked_area_mm2


def two_classes(in_channels: int, out_channels: int, **settings: Any) -> SliceClassifier:
    assert out_channels == 2
    return SliceClassifier(in_channels, **settings)


SMALL: dict[str, Any] = {"features": (4, 8), "classes": 3, "finding": [1], "pixel_mm2": 2.5}


class TestSliceClassifier(ClassificationContract):
    make = staticmethod(two_classes)
    settings: ClassVar = {
        "slab": {"in_channels": 3, "out_channels": 2, **SMALL},
        "two findings": {"in_channels": 1, "out_channels": 2, **SMALL, "finding": [1, 2]},
    }


def small(**settings: Any) -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(1, **SMALL | settings)


@pytest.mark.parametrize("size", [(64, 48), (65, 33), (9, 16)])
def test_the_map_of_training_has_the_size_of_the_slice(size: tuple[int, int]) -> None:
    assert small().train()(torch.rand(2, 1, *size)).shape == (2, 3, *size)


def test_the_score_is_that_of_the_marked_area() -> None:
    """A map that is the finding for sure on 5 x 4 places of 2 x 2 pixels: 20 x 4 x 2.5 mm2."""
    network = small().eval()
    network.stem, network.body = torch.nn.Identity(), torch.nn.Identity()
    network.slope, network.offset = torch.tensor(2.0), torch.tensor(0.5)
    scores = torch.zeros(1, 3, 16, 16)
    scores[:, 2] = 30.0
    scores[:, 1, 3:8, 6:10] = 90.0
    none, finding = network(scores)[0].tolist()
    assert finding == -none
    assert finding - none == pytest.approx(2 * math.log(210 / 60) + 0.5, rel=1e-5)


def test_unsure_places_count_little() -> None:
    """Odds of 1 to 9 become 1 to 9^4 before they count: 100 such places are less than one."""
    unsure = torch.tensor([math.log(0.9), math.log(0.1)]).reshape(1, 2, 1, 1).repeat(1, 1, 10, 10)
    assert float(marked_area_mm2(unsure, [1], 1.0)) == pytest.approx(100 / (1 + 9**4), rel=1e-4)


def test_classes_of_one_finding_count_together() -> None:
    """Two kinds at 0.3 each are a finding at 0.6: odds 3 to 2, to the fourth power 81 to 16."""
    both = torch.tensor([0.4, 0.3, 0.3]).log().reshape(1, 3, 1, 1)
    assert float(marked_area_mm2(both, [1, 2], 97.0)) == pytest.approx(81, rel=1e-5)


def test_fifty_square_millimetres_are_even_odds_before_calibration() -> None:
    area = torch.tensor([0.0, 50.0, 110.0])
    torch.testing.assert_close(
        log_odds_of_area(area, torch.ones(()), torch.zeros(())),
        torch.tensor([-math.log(6), 0.0, math.log(2)]),
    )


def test_calibration_is_part_of_the_weights() -> None:
    trained = small()
    trained.slope, trained.offset = torch.tensor(1.7), torch.tensor(-0.3)
    other = small()
    other.load_state_dict(trained.state_dict())
    assert (float(other.slope), float(other.offset)) == pytest.approx((1.7, -0.3))


@pytest.mark.parametrize("bad", [{"finding": []}, {"finding": [3]}, {"pixel_mm2": 0.0}])
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape("give some of the classes")):
        small(**bad)
