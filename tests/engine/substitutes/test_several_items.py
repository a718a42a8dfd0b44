# SPDX-License-Identifier: Apache-2.0
"""Items that one pass reads side by side, and passes that are undone, are as MONAI has them."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    ConcatItemsd,
    EnsureChannelFirstd,
    EnsureTyped,
    Invertd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from stock_steps import affine_of, assert_equal, image, noise, substituted

from medvol.engine.substitutes.grid import OnePassd

SIZE = (17, 13, 9)
BOTH = ["image", "label"]
HU = 2e-4
CHANNEL = EnsureChannelFirstd(BOTH)


def turn(keys: Any = BOTH) -> Orientationd:
    return Orientationd(keys, axcodes="RAS", labels=None)


def spaced(**more: Any) -> Spacingd:
    return Spacingd(BOTH, pixdim=(1.5, 1.5, 2.0), mode=("bilinear", "nearest"), **more)


def pair(codes: str = "LPS", label_codes: str = "") -> dict[str, MetaTensor]:
    """A CT and its labels, the labels perhaps with other axes."""
    values = noise(SIZE)
    labels = np.asfortranarray((values > 0).astype(np.uint8) + (values > 600))
    of_label = affine_of(label_codes or codes, (0.8, 0.7, 3.0), SIZE)
    return {
        "image": image(values, affine_of(codes, (0.8, 0.7, 3.0), SIZE)),
        "label": image(labels, of_label),
    }


def run_both(
    steps: list[Any], given: dict[str, MetaTensor]
) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """By MONAI of float32, and in one pass of what is stored."""
    as_float = {key: item.to(torch.float32).contiguous() for key, item in given.items()}
    found = substituted(steps)
    assert any(type(step) is OnePassd for step in found.steps)
    return dict(Compose(steps)(as_float)), dict(Compose(found.steps)(dict(given)))


@pytest.mark.parametrize("label_codes", ["", "SPL"])
@pytest.mark.parametrize("same", [True, False])
def test_a_volume_and_its_labels(label_codes: str, same: bool) -> None:
    scaled = ScaleIntensityRanged("image", -57, 164, 0, 1, clip=True)
    steps = [CHANNEL, turn(), spaced(ensure_same_shape=same), scaled, EnsureTyped(BOTH)]
    stock, fast = run_both(steps, pair("LPS", label_codes))
    assert len(substituted(steps).steps) == 1
    assert stock.keys() == fast.keys()
    assert_equal(stock["image"], fast["image"], HU / 200)
    assert_equal(stock["label"], fast["label"], 0.0)


def test_a_step_that_only_monai_can_do_gets_all_its_items() -> None:
    given = pair()
    given["label"].affine[0, 1] += 0.1  # sheared
    stock, fast = run_both([CHANNEL, turn("image"), spaced()], given)
    assert_equal(stock["image"], fast["image"], 0.0)
    assert_equal(stock["label"], fast["label"], 0.0)


@pytest.mark.parametrize("there", BOTH)
def test_an_item_may_be_missing_where_the_steps_allow_it(there: str) -> None:
    steps = [
        EnsureChannelFirstd(BOTH, allow_missing_keys=True),
        Orientationd(BOTH, axcodes="RAS", labels=None, allow_missing_keys=True),
        spaced(allow_missing_keys=True),
    ]
    stock, fast = run_both(steps, {there: pair()[there]})
    assert stock.keys() == fast.keys() == {there}
    assert_equal(stock[there], fast[there], HU if there == "image" else 0.0)


def test_an_item_of_another_step_stays_as_it_is() -> None:
    given: dict[Any, Any] = {**pair(), "other": noise((3, 3))}
    (one_pass,) = substituted([CHANNEL, turn("image"), EnsureTyped("image")]).steps
    fast = one_pass(given)
    assert fast["other"] is given["other"]


def test_four_files_are_read_one_by_one_and_become_channels() -> None:
    keys = ["t1ce", "t1", "t2", "flair"]
    affine = affine_of("LPS", (0.8, 0.7, 3.0), SIZE)
    values = noise((4, *SIZE))
    given = {key: image(values[n], affine.copy()) for n, key in enumerate(keys)}
    steps = [
        EnsureChannelFirstd(keys),
        Orientationd(keys, axcodes="RAS", labels=None),
        Spacingd(keys, pixdim=1.0),
        ConcatItemsd(keys, name="image"),
        Orientationd("image", axcodes="SPL", labels=None),
    ]
    stock, fast = run_both(steps, given)
    assert stock["image"].shape[0] == 4
    for key in [*keys, "image"]:
        assert_equal(stock[key], fast[key], HU)


CHAIN = [CHANNEL, turn(), spaced(), ScaleIntensityRanged("image", -1024, 1024, 0, 1)]


def test_a_chain_of_passes_undoes_itself() -> None:
    given = pair("ASL")
    stock, fast = run_both(CHAIN, given)
    before, after = Compose(CHAIN).inverse(stock), Compose(substituted(CHAIN).steps).inverse(fast)
    assert before["image"].shape == (1, *SIZE)
    assert_equal(before["image"], after["image"], 1e-6)
    assert_equal(before["label"], after["label"], 0.0)
    assert not after["image"].applied_operations


@pytest.mark.parametrize("nearest", [True, False])
def test_invertd_may_be_given_a_pass(nearest: bool) -> None:
    found = []
    for chain in (Compose(CHAIN), Compose(substituted(CHAIN).steps)):
        given = {key: item.to(torch.float32) for key, item in pair("ASL").items()}
        data = dict(chain(given))
        data["pred"] = data["image"].clone()
        back = Invertd("pred", transform=chain, orig_keys="image", nearest_interp=nearest)
        found.append(back(data)["pred"])  # only one of the two items is undone
    assert found[0].shape == (1, *SIZE)
    assert_equal(*found, 1e-6)


def test_undoing_what_is_not_there_is_an_error_as_with_monai() -> None:
    (one_pass,) = substituted(CHAIN).steps
    made = one_pass(pair())
    for chain in (Compose(CHAIN), Compose([one_pass])):
        with pytest.raises(RuntimeError, match="inverse"):
            chain.inverse({"image": made["image"].clone()})
