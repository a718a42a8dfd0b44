# SPDX-License-Identifier: Apache-2.0
"""Several steps in one pass give what MONAI's steps give one after the other, and their trace."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.meta_obj import set_track_meta
from monai.transforms import (
    CastToTyped,
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    EnsureTyped,
    Invertd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from stock_steps import affine_of, assert_equal, both, image, noise, substituted

from medvol.chains import brain_mri, lung_ct, radiograph
from medvol.engine.steps import add_channel, without_loading
from medvol.engine.substitutes.grid import Pending

HU = 2e-4  # a value in HU is off by less, which is 1e-7 of a window of 1500
CHANNEL = EnsureChannelFirstd("image")
SIZE = (17, 13, 9)


def turn(codes: str = "RAS", **more: Any) -> Orientationd:
    return Orientationd("image", axcodes=codes, labels=None, **more)


def spaced(pixdim: Any = (1.5, 1.5, 2.0), **more: Any) -> Spacingd:
    return Spacingd("image", pixdim=pixdim, **more)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAI", "ASR", "SPL", "IRP"])
@pytest.mark.parametrize(
    ("mode", "tolerance"), [("bilinear", HU), ("nearest", 0.0), (3, 1e-3)]
)  # fmt: skip
def test_any_orientation(codes: str, mode: Any, tolerance: float) -> None:
    given = image(noise(SIZE), affine_of(codes, (0.8, 0.7, 3.0), SIZE))
    assert_equal(*both([CHANNEL, turn("PLI"), spaced(mode=mode)], given), tolerance)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 7, 2), (5, 1, 3), (2, 2, 2), (31, 3, 1)])
@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.5, 1.5, 2.0), (4.0, 0.3, 9.0)])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_sizes_of_one_and_odd_ones_finer_and_coarser(
    size: tuple[int, int, int], spacing: tuple[float, float, float], mode: str
) -> None:
    given = image(noise(size), affine_of("LPS", spacing, size))
    stock, fast = both([CHANNEL, turn(), spaced(mode=mode)], given)
    assert_equal(stock, fast, HU if mode == "bilinear" else 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding_mode": "zeros"},
        {"padding_mode": "reflection"},
        {"align_corners": True},
        {"align_corners": True, "scale_extent": True},
        {"diagonal": True},
        {"recompute_affine": True},
        {"min_pixdim": (1.0, 0.1, 0.1), "max_pixdim": (9.0, 9.0, 2.0)},
        {"pixdim": (-1, 2, 2)},
        {"pixdim": 1.7},
        {"pixdim": (0.4, 0.35, 6.0)},  # halves: the nearest of two that are as near
        {"dtype": np.float32},
        {"dtype": None},
    ],
)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "AIL"])
def test_arguments_of_spacing(arguments: dict[str, Any], mode: str, codes: str) -> None:
    given = image(noise(SIZE), affine_of(codes, (0.8, 0.7, 3.0), SIZE))
    in_float32 = arguments.get("dtype", np.float64) != np.float64
    tolerance = 0.0 if mode == "nearest" else 1.0 if in_float32 else HU
    assert_equal(*both([CHANNEL, spaced(mode=mode, **arguments)], given), tolerance)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 0.75, 1.5), (0.8, 0.7, 3)])
@pytest.mark.parametrize("pixdim", [(2, 2, 2), (1, 1, 3), (1.5, 1.5, 2)])
def test_what_is_empty_with_monai_is_empty(spacing: Any, pixdim: Any) -> None:
    size = (32, 31, 20)  # at positions of whole voxels a rounding error decides: it is the same
    array = np.zeros(size, np.int16)
    array[3:-4, 4:-3, 2:-3] = 500
    steps = [CHANNEL, turn(), spaced(pixdim)]
    stock, fast = both(steps, image(array, affine_of("ASL", spacing, size)))
    assert torch.equal(stock != 0, fast != 0)


@pytest.mark.parametrize(
    "padding_mode", ["border", "nearest", "mirror", "reflect", "wrap", "zeros"]
)
def test_splines_of_third_order(padding_mode: str) -> None:
    given = image(noise(SIZE), affine_of("LPS", (0.8, 0.7, 3.0), SIZE))
    steps = [CHANNEL, turn(), spaced(mode=3, padding_mode=padding_mode)]
    assert_equal(*both(steps, given), 1e-3)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int8, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_type_and_order_in_memory(dtype: Any, order: str) -> None:
    given = image(noise(SIZE, dtype, order=order), affine_of("LPS", (0.8, 0.7, 3.0), SIZE))
    assert_equal(*both([CHANNEL, turn(), spaced()], given), HU)


def test_extremes_of_int16_do_not_run_over() -> None:
    array = np.where(np.indices(SIZE).sum(0) % 2, 32767, -32768).astype(np.int16)
    given = image(array, affine_of("LPS", (0.8, 0.7, 3.0), SIZE))
    window = ScaleIntensityRanged("image", -32768, 32767, 0, 1)
    stock, fast = both([CHANNEL, turn(), spaced(), window], given)
    assert_equal(stock, fast, 1e-6)
    assert float(stock.max()) > 0.7


def test_a_constant_stays_as_it_is() -> None:
    given = image(np.full(SIZE, -1000, np.int16), affine_of("LPS", (0.8, 0.7, 3.0), SIZE))
    _, fast = both([CHANNEL, turn(), spaced()], given)
    assert float(fast.min()) == pytest.approx(-1000, abs=HU)
    assert float(fast.max()) == pytest.approx(-1000, abs=HU)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_goes_no_further_than_with_monai(bad: float) -> None:
    array = noise(SIZE, np.float32)
    array[8, 6, 4] = bad
    given = image(array, affine_of("LPS", (0.8, 0.7, 3.0), SIZE))
    stock, fast = both([CHANNEL, turn(), spaced()], given)
    assert torch.equal(fast.isfinite(), stock.isfinite())
    assert not bool(stock.isfinite().all())
    assert float((fast - stock).nan_to_num(0, 0, 0).abs().max()) <= HU


def test_several_channels() -> None:
    given = image(noise((3, *SIZE)), affine_of("LPS", (0.8, 0.7, 3.0), SIZE), channels=True)
    stock, fast = both([CHANNEL, turn(), spaced()], given)
    assert len(fast) == 3
    assert_equal(stock, fast, HU)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_an_oblique_grid_is_parallel_to_its_own_axes_only(mode: str) -> None:
    affine = affine_of("LPS", (0.8, 0.7, 3.0), SIZE)
    a = np.deg2rad(20)
    affine = np.array([[np.cos(a), -np.sin(a), 0, 0], [np.sin(a), np.cos(a), 0, 0],
                       [0, 0, 1, 0], [0, 0, 0, 1]]) @ affine  # fmt: skip
    given = image(noise(SIZE), affine)
    tolerance = HU if mode == "bilinear" else 0.0
    assert_equal(*both([CHANNEL, turn(), spaced(mode=mode)], given), tolerance)
    assert_equal(*both([CHANNEL, turn(), spaced(mode=mode, diagonal=True)], given), 0.0)


def test_a_sheared_grid_is_left_to_monai() -> None:
    affine = affine_of("LPS", (0.8, 0.7, 3.0), SIZE)
    affine[0, 1] = 0.1
    assert_equal(*both([CHANNEL, turn(), spaced()], image(noise(SIZE), affine)), 0.0)


@pytest.mark.parametrize("handed", [1, -1])
def test_a_left_handed_grid(handed: int) -> None:
    affine = affine_of("LPS", (0.8, 0.7, 3.0), SIZE) @ np.diag([handed, 1, 1, 1])
    assert np.linalg.det(affine[:3, :3]) * handed > 0
    assert_equal(*both([CHANNEL, turn(), spaced()], image(noise(SIZE), affine)), HU)


@pytest.mark.parametrize(
    "steps",
    [
        [CHANNEL, turn()],
        [CHANNEL, spaced(), turn("SLP")],
        [CHANNEL, ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True), turn(), spaced()],
        [CHANNEL, turn(), spaced(), ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True)],
        [CHANNEL, turn(), spaced(), spaced((3, 3, 3)), turn("LPI"), spaced(2.2, mode="nearest")],
        [EnsureTyped("image"), CHANNEL, turn(), CastToTyped("image"), spaced()],
        [CHANNEL, EnsureTyped("image", dtype=np.float32), turn(), spaced()],
        [CHANNEL, turn(), CropForegroundd("image", source_key="image", margin=2), spaced()],
        [CHANNEL, turn(), spaced(), CropForegroundd("image", source_key="image", margin=2),
         ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True)],
        [partial(add_channel, keys=("image",)), turn(), spaced()],
    ],
)  # fmt: skip
def test_any_order_of_steps(steps: list[Any]) -> None:
    array = noise(SIZE)
    array[:3], array[:, 10:] = -1024, -1024
    given = image(array, affine_of("ASL", (0.8, 0.7, 3.0), SIZE))
    assert_equal(*both(steps, given), HU)


def test_a_crop_behind_a_flip_reads_the_part_that_is_left() -> None:
    given = image(noise(SIZE), affine_of("LPS", (1.5, 1.5, 2.0), SIZE))
    stock, fast = both([CHANNEL, turn(), spaced()], given)  # nothing to interpolate
    assert_equal(stock, fast, 0.0)
    assert torch.equal(fast[0, 0], given.as_tensor()[-1].flip(0).float())


@pytest.mark.parametrize("nearest", [True, False])
def test_monai_inverts_what_it_did_not_do(nearest: bool) -> None:
    given = image(noise(SIZE), affine_of("ASL", (0.8, 0.7, 3.0), SIZE))
    steps = [CHANNEL, turn(), spaced(), ScaleIntensityRanged("image", -1024, 1024, 0, 1)]
    chain = Compose(steps)
    back = Invertd("pred", transform=chain, orig_keys="image", nearest_interp=nearest)
    found = []
    for result in (chain, Compose(substituted(steps).steps)):
        made = result({"image": given.to(torch.float32)})["image"]
        found.append(back({"image": made, "pred": made.clone()})["pred"])
    stock, fast = found
    assert stock.shape == (1, *SIZE)
    assert_equal(stock, fast, 1e-6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6.0)] * 3),
    pixdim=st.tuples(*[st.floats(0.5, 5.0)] * 3),
    size=st.tuples(*[st.integers(1, 14)] * 3),
    mode=st.sampled_from(["bilinear", "nearest"]),
    diagonal=st.booleans(),
)
def test_any_grid_along_the_axes(
    order: list[int], signs: Any, spacing: Any, pixdim: Any, size: Any, mode: str, diagonal: bool
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.diag(np.multiply(signs, spacing))[order]
    affine[:3, 3] = [-12.5, 40.25, 7.0]
    steps = [CHANNEL, turn(), spaced(pixdim, mode=mode, diagonal=diagonal)]
    assert_equal(*both(steps, image(noise(size), affine)), HU if mode == "bilinear" else 0)


@pytest.mark.parametrize(
    "step",
    [
        EnsureTyped("image", dtype=torch.float16),
        EnsureTyped("image", data_type="numpy"),
        EnsureTyped("image", device=torch.device("meta")),
        EnsureTyped("image", track_meta=False),
        ScaleIntensityRanged("image", 0, 1, dtype=np.int16),
        Orientationd("image", axcodes="RAS", labels=None, lazy=True),
        type("Mine", (Spacingd,), {})("image", pixdim=1.0),
    ],
)
def test_arguments_that_it_does_not_know_are_left_to_monai(step: Any) -> None:
    said = substituted([CHANNEL, turn(), step]).said
    assert [(len(s.replaced), s.by) for s in said] == [(2, "OnePassd"), (1, "")]


def test_without_a_step_that_moves_there_is_nothing_to_gain() -> None:
    assert not substituted([CHANNEL, EnsureTyped("image")]).said[0].by


def test_without_metadata_wanted_the_steps_run_as_they_stand() -> None:
    given = image(noise((1, *SIZE)), affine_of("LPS", (0.8, 0.7, 3.0), SIZE), channels=True)
    assert Pending.of(given)
    set_track_meta(False)
    try:
        assert Pending.of(given) is None
    finally:
        set_track_meta(True)


def test_a_missing_item_is_what_it_is_with_monai() -> None:
    steps = [turn(allow_missing_keys=True)]
    assert substituted(steps).steps[0]({"other": 1}) == {"other": 1}
    with pytest.raises(KeyError, match="image"):
        substituted([turn()]).steps[0]({"other": 1})


@pytest.mark.parametrize("crop", ["chest", "lungs", "body", None])
def test_the_chain_of_chest_ct(crop: str | None) -> None:
    size = (40, 36, 20)
    array = np.full(size, -3024, np.int16, order="F")
    array[2:38, 2:34] = -1000
    array[5:35, 5:31] = 40
    array[10:18, 9:27, 3:17] = array[22:30, 9:27, 3:17] = -850
    array += noise(size) // 32
    given = image(array, affine_of("LPS", (8.0, 8.0, 9.0), size))
    chain = lung_ct(spacing_mm=(9.0, 8.0, 14.0), crop=crop, crop_margin_mm=10.0)
    steps = without_loading(chain.transforms)
    assert_equal(*both(steps, given), 1e-6)
    assert substituted(steps).said[0].replaced[:4] == (
        "EnsureChannelFirstd", "PaddingToAird", "Orientationd", "ResampleSpacingd",
    )  # fmt: skip


def test_the_chain_of_brain_mr() -> None:
    size = (24, 26, 5)
    array = noise((3, *size), np.float32) + 1024
    array[:, :4], array[:, :, 20:] = 0, 0
    given = image(array, affine_of("LPS", (0.9, 0.9, 5.0), size), channels=True)
    steps = without_loading(brain_mri().transforms)
    assert_equal(*both(steps, given), 1e-4)


def test_the_chain_of_radiographs(monkeypatch: pytest.MonkeyPatch) -> None:
    given = image(noise((70, 50), np.float32), np.eye(4))
    steps = without_loading(radiograph(size=(32, 40)).transforms)
    stock, fast = both(steps, given)
    assert_equal(stock, fast, 1e-5)
    assert substituted(steps).said[-1].replaced == ("NormalizeIntensityd", "EnsureTyped")
    monkeypatch.setattr(NormalizeIntensityd, "__call__", None)  # MONAI's step is not asked
    equals = Compose(substituted(steps).steps)
    assert torch.equal(equals({"image": given})["image"], fast)


def test_pictures_are_moved_by_monai() -> None:
    given = image(noise((1, 17, 13), np.float32), np.eye(4), channels=True)
    steps = [NormalizeIntensityd("image"), Spacingd("image", (2.0, 1.5))]
    assert_equal(*both(steps, given), 1e-5)
