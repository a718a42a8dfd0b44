# SPDX-License-Identifier: Apache-2.0
"""Bringing maps from the grid of a resized picture back to the picture's own."""

import pytest
import torch

from medvol.transforms.resize_picture import resize_picture, restore_picture


def test_padding_is_taken_off_and_the_rest_scaled() -> None:
    small = torch.tensor([[0.0, 0, 0, 0], [1, 1, 3, 3], [1, 1, 3, 3], [0, 0, 0, 0]])[None]
    back = restore_picture(small, (2, 4), keep_aspect=True)
    assert back.tolist() == [[[1, 1, 3, 3], [1, 1, 3, 3]]]
    squeezed = restore_picture(small, (2, 4))  # of a picture that was stretched to the square
    # lines 0, 1, 1 with weights 0.75, 0.75, 0.25: padding would be part of it
    assert squeezed[0, 0, 0] == pytest.approx(4 / 7)


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("shape", [(37, 20), (20, 37), (24, 24), (9, 100)])
def test_a_slope_comes_back(shape: tuple[int, int], keep_aspect: bool) -> None:
    rows, columns = (torch.linspace(0, 1, n) for n in shape)
    slope = (rows[:, None] + columns[None, :])[None]
    there = resize_picture(slope, (48, 48), keep_aspect=keep_aspect)
    back = restore_picture(there, shape, keep_aspect=keep_aspect)
    assert back.shape == slope.shape
    assert (back - slope).abs().max() < 0.12  # the border loses most
