# SPDX-License-Identifier: Apache-2.0
"""Hounsfield windows, by numbers worked out by hand."""

import re

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medvol.transforms.intensity import LUNG_WINDOW_HU, PaddingToAird, WindowHUd, window_hu

MEDIASTINUM_HU = (-160.0, 240.0)  # level 40, width 400


def test_the_lung_window_is_that_of_the_reading_room() -> None:
    low, high = LUNG_WINDOW_HU
    assert ((low + high) / 2, high - low) == (-600, 1500)


@pytest.mark.parametrize(
    ("hu", "expected"),
    [(-1024, 0), (-160, 0), (-60, 0.25), (40, 0.5), (140, 0.75), (240, 1), (3071, 1)],
)
def test_each_value_of_the_mediastinum_window(hu: int, expected: float) -> None:
    assert float(window_hu(np.array([hu]), MEDIASTINUM_HU)[0]) == expected
    assert float(window_hu(torch.tensor([hu]), MEDIASTINUM_HU)[0]) == expected


def test_kind_shape_and_type_stay() -> None:
    array = window_hu(np.zeros((2, 3), np.float32), LUNG_WINDOW_HU)
    assert (array.dtype, array.shape) == (np.float32, (2, 3))
    tensor = window_hu(torch.zeros(2, 3), LUNG_WINDOW_HU)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (2, 3))


def test_what_was_given_is_not_changed_and_the_place_stays() -> None:
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    given = MetaTensor(torch.full((1, 2, 2, 2), -600.0), affine=affine)
    out = WindowHUd("image")({"image": given, "label": given})
    assert float(out["image"].max()) == 0.5
    assert torch.equal(out["image"].affine, affine)
    assert out["label"] is given
    assert float(given.max()) == -600


def test_padding_becomes_air_and_no_other_value_changes() -> None:
    given = torch.tensor([-32768.0, -3024, -2000, -1501, -1500, -1350, -1024, 40, 3071])
    kept = [-1500, -1350, -1024, 40, 3071]
    assert PaddingToAird("image")({"image": given})["image"].tolist() == [-1000] * 4 + kept


def test_a_missing_item_is_an_error() -> None:
    with pytest.raises(KeyError, match="image"):
        WindowHUd("image")({"label": torch.zeros(1)})


@pytest.mark.parametrize("window", [(150.0, -1350.0), (40.0, 40.0)], ids=["reversed", "empty"])
def test_an_impossible_window_is_refused_before_the_first_image(
    window: tuple[float, float],
) -> None:
    words = f"window {window} has no width; give (low, high) with low < high"
    with pytest.raises(ValueError, match=re.escape(words)):
        WindowHUd("image", window)
