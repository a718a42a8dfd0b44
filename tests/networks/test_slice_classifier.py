# SPDX-License-Identifier: Apache-2.0
"""The slice classifier: the family's contract, and the places behind a slice's score."""

import re
from typing import Any, ClassVar

import pytest
import torch
from networks.contract import ClassificationContract

from medvol.networks.slice_classifier import STRIDE, SliceClassifier


def two_classes(in_channels: int, out_channels: int, **settings: Any) -> SliceClassifier:
    assert out_channels == 2
    return SliceClassifier(in_channels, **settings)


class TestSliceClassifier(ClassificationContract):
    make = staticmethod(two_classes)
    settings: ClassVar = {
        "slab": {"in_channels": 3, "out_channels": 2, "width": 4},
        "highest": {"in_channels": 1, "out_channels": 2, "width": 4, "top": 1, "dropout": 0.0},
    }


def small(**settings: Any) -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(1, width=4, dropout=0.0, **settings)


@pytest.mark.parametrize(
    ("size", "grid"), [((64, 48), (4, 3)), ((65, 33), (5, 3)), ((9, 16), (1, 1))]
)
def test_a_place_every_sixteen_pixels(size: tuple[int, int], grid: tuple[int, int]) -> None:
    network, given = small(), torch.rand(2, 1, *size)
    assert network.body(given).shape[2:] == grid
    assert grid == tuple(-(-n // STRIDE) for n in size)
    assert network.train()(given).shape == (2, 1 + grid[0] * grid[1])


@pytest.mark.parametrize("top", [1, 3, 100])
def test_the_slice_has_the_mean_of_its_highest_places(top: int) -> None:
    network, given = small(top=top), torch.rand(2, 1, 64, 64)
    network.train()(given)
    of_slice, *places = network.train()(given).unbind(1)
    highest = torch.stack(places, 1).sort(1, descending=True).values[:, :top]
    torch.testing.assert_close(of_slice, highest.mean(1))


def test_scores_of_use_are_the_log_odds_of_training() -> None:
    network = small().train()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()  # so that both ways normalise alike
    given = torch.rand(2, 1, 64, 64)
    log_odds = network(given)[:, 0]
    scores = network.eval()(given)
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], log_odds)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"in_channels": 0}, "in_channels, width and top are (0, 16, 4); give at least 1 each"),
        ({"in_channels": 1, "top": 0}, "(1, 16, 0)"),
        ({"in_channels": 1, "dropout": 1.0}, "dropout is 1.0; give 0 or more and less than 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        SliceClassifier(**settings)
