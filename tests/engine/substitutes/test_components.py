# SPDX-License-Identifier: Apache-2.0
"""Of each label the largest part stays, by the same neighbours as MONAI's."""

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.data.meta_obj import set_track_meta
from monai.transforms import KeepLargestConnectedComponentd

from medvol.engine.substitutes.components import largest_component

# label 1: three voxels in a row, and one that touches them by a corner; label 2: one, then two
LABELS = torch.tensor([[1, 1, 1, 0, 2], [0, 0, 0, 1, 0], [2, 2, 0, 0, 1]])[None]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"connectivity": 1}, [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [2, 2, 0, 0, 0]]),
        ({}, [[1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [2, 2, 0, 0, 1]]),
        ({"connectivity": 1, "applied_labels": [1]},
         [[1, 1, 1, 0, 2], [0, 0, 0, 0, 0], [2, 2, 0, 0, 0]]),
    ],
)  # fmt: skip
def test_of_each_label_the_largest_part_stays(
    arguments: dict[str, Any], expected: list[list[int]]
) -> None:
    stock = KeepLargestConnectedComponentd("pred", is_onehot=False, **arguments)
    found = largest_component([stock])
    assert found is not None
    assert found.step({"pred": LABELS})["pred"][0].tolist() == expected
    assert LABELS[0, 1, 3] == 1  # what was given stays


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"num_components": 2, "connectivity": 1},
         [[1, 1, 1, 0, 2], [0, 0, 0, 0, 0], [2, 2, 0, 0, 1]]),
        ({"independent": False, "connectivity": 1},
         [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        ({"independent": False}, [[1, 1, 1, 0, 2], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]),
        ({"independent": False, "applied_labels": [2], "connectivity": 1},
         [[1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [2, 2, 0, 0, 1]]),
    ],
)  # fmt: skip
def test_several_parts_or_those_of_all_labels_stay(
    arguments: dict[str, Any], expected: list[list[int]]
) -> None:
    found = largest_component([KeepLargestConnectedComponentd("pred", **arguments)])
    assert found is not None
    assert found.step({"pred": LABELS})["pred"][0].tolist() == expected


def test_of_channels_the_background_stays_and_each_other_has_its_largest_part() -> None:
    channels = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 1, 1], [1, 0, 1, 0, 0]])[:, None]
    for arguments, expected in [
        (dict[str, Any](), [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]]),
        ({"applied_labels": [1], "independent": False}, [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]]),
        ({"num_components": 2}, [[1, 0, 1, 0, 0], [0, 1, 0, 1, 1]]),
    ]:
        found = largest_component([KeepLargestConnectedComponentd("pred", **arguments)])
        assert found is not None
        assert found.step({"pred": channels})["pred"][:2, 0].tolist() == expected


def test_nothing_and_one_part_stay_as_they_are() -> None:
    found = largest_component([KeepLargestConnectedComponentd("pred")])
    assert found is not None
    for given in (torch.zeros(1, 3, 4, 5), torch.ones(1, 3, 4, 5), torch.zeros(3, 3, 4, 5)):
        assert torch.equal(found.step({"pred": given})["pred"], given)


@pytest.mark.parametrize("tracked", [True, False])
def test_a_plain_tensor_becomes_what_it_becomes_with_monai(tracked: bool) -> None:
    found = largest_component([KeepLargestConnectedComponentd("pred")])
    assert found is not None
    set_track_meta(tracked)
    try:
        made = found.step({"pred": LABELS})["pred"]
    finally:
        set_track_meta(True)
    assert type(made) is (MetaTensor if tracked else torch.Tensor)
