# SPDX-License-Identifier: Apache-2.0
"""Voxels normalised in one pass are MONAI's, whatever they are."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import EnsureChannelFirstd, NormalizeIntensityd, Orientationd, Spacingd
from stock_steps import affine_of, assert_equal, both, image, noise, substituted

SIZE = (17, 13, 9)
CHANNEL = EnsureChannelFirstd("image")


def turn(codes: str) -> Orientationd:
    return Orientationd("image", axcodes=codes, labels=None)


def volume(array: Any) -> Any:
    return image(array, affine_of("ASL", (0.8, 0.7, 3.0), SIZE), channels=array.ndim == 4)


def sequences(dtype: Any = np.float32) -> Any:
    """Four channels of another height each, zeros around; the third is nothing but zeros."""
    array = noise((4, *SIZE), dtype) + np.array([1100, 3000, 0, 9], dtype)[:, None, None, None]
    array[:, :4], array[:, :, 10:], array[2] = 0, 0, 0
    return array


@pytest.mark.parametrize("nonzero", [True, False])
@pytest.mark.parametrize("channel_wise", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_by_the_voxels_themselves(nonzero: bool, channel_wise: bool, dtype: Any) -> None:
    step = NormalizeIntensityd("image", nonzero=nonzero, channel_wise=channel_wise)
    for steps in ([CHANNEL, step], [CHANNEL, turn("RAS"), step]):
        assert len(substituted(steps).steps) == 1
        assert_equal(*both(steps, volume(sequences(dtype))), 1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"subtrahend": 3.5, "divisor": 7},
        {"subtrahend": 3.5, "divisor": 0},
        {"subtrahend": 100},
        {"divisor": 250.0},
        {"subtrahend": [1, 2, 3, 4], "divisor": (5, 0, 7.5, 8), "channel_wise": True},
        {"subtrahend": np.array([1, 2, 3, 4.0]), "channel_wise": True},
    ],
)
@pytest.mark.parametrize("nonzero", [True, False])
def test_by_numbers(arguments: dict[str, Any], nonzero: bool) -> None:
    step = NormalizeIntensityd("image", nonzero=nonzero, **arguments)
    stock, fast = both([CHANNEL, step], volume(sequences()))
    assert_equal(stock, fast, 1e-5 * max(1.0, float(stock.abs().max())))


@pytest.mark.parametrize("value", [0, 7, -1024, np.nan, np.inf])
@pytest.mark.parametrize("nonzero", [True, False])
def test_a_constant_has_no_spread(value: float, nonzero: bool) -> None:
    array = np.full(SIZE, value, np.float32)
    array[:3] = 0 if nonzero else value
    stock, fast = both([CHANNEL, NormalizeIntensityd("image", nonzero=nonzero)], volume(array))
    assert torch.equal(fast.isnan(), stock.isnan())
    assert_equal(stock.nan_to_num(), fast.nan_to_num(), 1e-6 * abs(np.nan_to_num(value, posinf=0)))


@pytest.mark.parametrize("nonzero", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_voxel_that_is_not_finite_spoils_as_much_as_with_monai(
    bad: float, nonzero: bool
) -> None:
    array = sequences()
    array[1, 8, 4, 4] = bad
    step = NormalizeIntensityd("image", nonzero=nonzero, channel_wise=True)
    stock, fast = both([CHANNEL, step], volume(array))
    assert torch.equal(fast.isnan(), stock.isnan())
    assert bool(stock.isnan().any())
    assert_equal(stock.nan_to_num(), fast.nan_to_num(), 1e-5)


@pytest.mark.parametrize("offset", [0, 30000])
def test_extremes_of_int16_and_a_spread_that_is_small_against_the_mean(offset: int) -> None:
    array = np.where(np.indices(SIZE).sum(0) % 2, 32767, offset or -32768).astype(np.int16)
    step = NormalizeIntensityd("image", nonzero=True)
    assert_equal(*both([CHANNEL, step], volume(array)), 1e-5)


def test_what_was_given_is_not_changed() -> None:
    array = sequences()
    kept = array.copy()
    given = volume(array)
    steps = [CHANNEL, turn("ASL"), NormalizeIntensityd("image")]  # turns nothing
    fast = substituted(steps).steps[0]({"image": given})["image"]
    assert float(fast.mean()) == pytest.approx(0, abs=1e-5)
    assert np.array_equal(array, kept)


def test_steps_after_it_see_what_it_made() -> None:
    steps = [
        CHANNEL,
        NormalizeIntensityd("image", nonzero=True),
        Spacingd("image", pixdim=1.1),
        NormalizeIntensityd("image"),
        NormalizeIntensityd("image", subtrahend=0.5, divisor=2),
    ]
    assert len(substituted(steps).steps) == 1
    assert_equal(*both(steps, volume(sequences())), 1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": np.float64},
        {"dtype": None},
        {"subtrahend": torch.zeros(4), "channel_wise": True},
        {"subtrahend": np.zeros((4, *SIZE))},
        {"divisor": [1, 2, 3, 4]},
        {"divisor": 3.0, "channel_wise": True},
    ],
)
def test_arguments_that_it_does_not_know_are_left_to_monai(arguments: dict[str, Any]) -> None:
    assert not substituted([NormalizeIntensityd("image", **arguments)]).said[0].by


def test_a_number_for_another_count_of_channels_is_refused_by_monai() -> None:
    step = NormalizeIntensityd("image", subtrahend=[1, 2], channel_wise=True)
    with pytest.raises(ValueError, match="4 channels"):
        substituted([step]).steps[0]({"image": volume(sequences())})
