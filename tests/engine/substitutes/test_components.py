# SPDX-License-Identifier: Apache-2.0
"""Of each label the largest part stays, by the same neighbours as MONAI's."""

from typing import Any

import pytest
import torch
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
    "arguments", [{}, {"is_onehot": True}, {"is_onehot": False, "num_components": 2}]
)
def test_arguments_that_it_does_not_know_are_left_to_monai(arguments: dict[str, Any]) -> None:
    assert largest_component([KeepLargestConnectedComponentd("pred", **arguments)]) is None
