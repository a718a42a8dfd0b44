# SPDX-License-Identifier: Apache-2.0
"""A crop to the foreground in one pass is MONAI's, with its coordinates, padding and trace."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from monai.transforms.utils import is_positive
from stock_steps import affine_of, assert_equal, image, noise, substituted

from medvol.engine.substitutes.cropping import threshold_of

SIZE = (17, 13, 9)
LIMIT = 0.5


def crop(**more: Any) -> CropForegroundd:
    return CropForegroundd("image", source_key="image", **more)


def ct(dtype: Any = np.int16, codes: str = "ASL", size: tuple[int, ...] = SIZE) -> MetaTensor:
    """Voxels below 0 but in a box, some of whose own are below 0 too."""
    array = np.full(size, -1024, dtype, order="F")
    array[3:12, 2:10, 4:7] = noise((9, 8, 3), dtype)
    return image(array, affine_of(codes, (0.8, 0.7, 3.0), size))


def run_both(steps: list[Any], given: MetaTensor) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """By MONAI of float32, and in one pass of what is stored."""
    steps = [EnsureChannelFirstd("image"), *steps]
    found = substituted(steps)
    stock = Compose(steps)({"image": given.to(torch.float32).contiguous()})
    return dict(stock), dict(Compose(found.steps)({"image": given}))


def assert_same(stock: dict[Any, Any], fast: dict[Any, Any], tolerance: float = 0.0) -> None:
    assert_equal(stock["image"], fast["image"], tolerance)
    assert stock.keys() == fast.keys()
    for name in stock.keys() - {"image"}:
        assert stock[name].tolist() == fast[name].tolist()
        assert stock[name].dtype == fast[name].dtype


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"margin": 2},
        {"margin": (1, 7, 0), "allow_smaller": True},
        {"margin": (1, 7, 20)},
        {"k_divisible": 8},
        {"k_divisible": (4, 1, 16), "margin": 1, "allow_smaller": True},
        {"select_fn": lambda x: x > 700, "start_coord_key": None, "end_coord_key": None},
        {"select_fn": lambda values: values > -1024.5},
        {"channel_indices": 0, "start_coord_key": "first"},
    ],
)
@pytest.mark.parametrize("codes", ["RAS", "ASL"])
@pytest.mark.parametrize("before", [True, False])
def test_arguments(arguments: dict[str, Any], codes: str, before: bool) -> None:
    turn = Orientationd("image", axcodes="RAS", labels=None)
    steps = [turn, crop(**arguments)] if before else [crop(**arguments), turn]
    assert substituted(steps).said[0].replaced[-1] == type(steps[-1]).__name__
    assert_same(*run_both(steps, ct(codes=codes)))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("margin", [0, 6])
def test_a_crop_before_resampling_reads_no_more_than_the_box(dtype: Any, margin: int) -> None:
    steps = [
        Orientationd("image", axcodes="RAS", labels=None),
        ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True),
        crop(margin=margin),
        Spacingd("image", pixdim=(1.5, 1.5, 2.0)),
        NormalizeIntensityd("image", nonzero=True),
    ]
    assert len(substituted([EnsureChannelFirstd("image"), *steps]).steps) == 1
    assert_same(*run_both(steps, ct(dtype)), tolerance=1e-5)


def test_a_crop_behind_resampling_is_monai_s() -> None:
    steps = [Spacingd("image", pixdim=(1.5, 1.5, 2.0)), crop(margin=3), crop()]
    assert_same(*run_both(steps, ct()), tolerance=2e-4)


def test_several_channels_of_which_some_count() -> None:
    array = np.full((3, *SIZE), -1, np.int16)
    array[0, 3:5, 2:4, 1:4] = array[1, 8:12, 6:7, 2:8] = array[2] = 5
    given = image(array, affine_of("LPS", (1, 1, 1), SIZE), channels=True)
    for channels in (None, (0, 1), [1]):
        stock, fast = run_both([crop(channel_indices=channels)], given.clone())
        assert_same(stock, fast)
        assert (stock["image"].shape[1:] == SIZE) == (channels is None)


def test_a_box_that_another_item_gives() -> None:
    keys = ["label", "image"]
    steps = [
        CropForegroundd(keys, source_key="image", margin=3),
        Orientationd(keys, axcodes="SPL", labels=None),
    ]
    given = {"image": ct()[None], "label": (ct() > 0).to(torch.uint8)[None]}
    stock = Compose(steps)({key: item.float() for key, item in given.items()})
    (one_pass,) = substituted(steps).steps
    fast = one_pass(given)
    assert_same({"image": stock["image"]}, {"image": fast["image"]})
    assert_same({"image": stock["label"]}, {"image": fast["label"]})


@pytest.mark.parametrize(
    ("value", "select"), [(-5, is_positive), (0, is_positive), (np.nan, lambda x: x > 0)]
)
def test_without_any_foreground_it_is_as_with_monai(value: float, select: Any) -> None:
    array = np.full(SIZE, value, np.float32)
    given = image(array, affine_of("LPS", (1, 1, 1), SIZE))
    assert_same(*run_both([crop(select_fn=select)], given))


def test_what_is_not_a_number_is_no_foreground() -> None:
    given = ct(np.float32)
    given[0, 0] = torch.nan
    given[1, 5] = torch.inf
    assert_same(*run_both([crop()], given.clone()))


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 7, 2), (31, 3, 1)])
def test_odd_sizes(size: tuple[int, int, int]) -> None:
    given = image(noise(size) | 1, affine_of("LPS", (0.8, 0.7, 3.0), size))
    assert_same(*run_both([crop(k_divisible=4, select_fn=lambda x: x > -1025)], given))


def test_the_chain_can_be_undone() -> None:
    steps = [crop(margin=4, k_divisible=5), Orientationd("image", axcodes="RAS", labels=None)]
    steps.insert(0, EnsureChannelFirstd("image"))
    given, fast = ct(), Compose(substituted(steps).steps)
    stock = Compose(steps).inverse(Compose(steps)({"image": given.float()}))["image"]
    back = fast.inverse(fast({"image": given}))["image"]
    assert back.shape == (1, *SIZE)
    assert_equal(stock, back, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"select_fn": lambda x: x >= 0},
        {"select_fn": lambda x: abs(x) > 0},
        {"select_fn": lambda x: x > LIMIT},
        {"mode": "edge"},
        {"value": 3},
        {"source_key": "label"},
        {"lazy": True},
    ],
)
def test_arguments_that_it_does_not_know_are_left_to_monai(arguments: dict[str, Any]) -> None:
    step = CropForegroundd("image", **{"source_key": "image", **arguments})
    assert not substituted([step]).said[0].by


def both_sides(x: Any) -> Any:
    return x > 0 and x > 1


@pytest.mark.parametrize(
    ("select", "threshold"),
    [
        (is_positive, 0),
        (lambda x: x > 0, 0),
        (lambda anything: anything > -900, -900),
        (lambda x: x > 0.25, 0.25),
        (lambda x: x < 0.25, None),
        (lambda x, y: x > y, None),
        (lambda *x: x > 0, None),
        (lambda x: (x > 0, x)[0], None),
        (lambda x: x > "0", None),
        (both_sides, None),
        (partial(lambda y, x: x > y, 1), None),
        (np.abs, None),
        (ct, None),
    ],
)
def test_a_threshold_is_told_by_the_code(select: Callable[..., Any], threshold: Any) -> None:
    assert threshold_of(select) == threshold
