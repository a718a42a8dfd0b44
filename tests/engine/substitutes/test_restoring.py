# SPDX-License-Identifier: Apache-2.0
"""Labels from scores in one step are those of MONAI's steps, with their metadata and trace."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    CropForegroundd,
    Flipd,
    Invertd,
    KeepLargestConnectedComponentd,
    NormalizeIntensityd,
    OneOf,
    Orientationd,
    Rotated,
    Spacingd,
    SpatialCropd,
    SpatialPadd,
)

from medvol.engine.substitutes.restoring import scores_to_labels
from medvol.spatial import AXIS_CODES
from medvol.transforms.resample import ResampleSpacingd

SHAPE = (23, 19, 11)
# MONAI's, where its inverse has nothing to undo
pytestmark = pytest.mark.filterwarnings("ignore:inverse has been called:UserWarning")


def turned(codes: str) -> Orientationd:
    return Orientationd("image", codes, labels=AXIS_CODES)


def bright(image: torch.Tensor) -> torch.Tensor:
    return image > 0.9


CHAINS: dict[str, list[Any]] = {
    "nothing": [NormalizeIntensityd("image")],
    "turned": [turned("SAR"), Flipd("image", 1)],
    "finer": [turned("RAS"), Spacingd("image", (0.7, 0.8, 1.1))],
    "coarser": [Spacingd("image", (1.9, 2.3, 3.1)), turned("LPI")],
    "in float32": [turned("IPR"), Spacingd("image", (1.5, 1.2, 0.9), dtype=np.float32)],
    "corners": [Spacingd("image", (1.5, 1.2, 0.9), align_corners=True, padding_mode="zeros")],
    "cropped": [turned("PLS"), Spacingd("image", (1.3, 1.6, 2)), CropForegroundd(
        "image", source_key="image", select_fn=bright, margin=2, allow_smaller=True)],
    "cropped beyond": [Spacingd("image", (1.3, 1.6, 2)), CropForegroundd(
        "image", source_key="image", select_fn=bright, margin=3, k_divisible=8,
        allow_smaller=False)],
    "cropped, not resampled": [turned("RAS"), SpatialCropd("image", roi_start=(4, 3, 2),
        roi_end=(17, 15, 9)), SpatialPadd("image", (20, 9, 12))],
    "padded before": [SpatialPadd("image", (40, 12, 30)), Spacingd("image", (1.3, 1.6, 2))],
    "of medvol": [turned("RAS"), ResampleSpacingd("image", (1.7, 1.2, 3.3)), SpatialCropd(
        "image", roi_start=(2, 3, 1), roi_end=(11, 15, 7))],
}  # fmt: skip


def prepared(steps: Sequence[Any], *, left_handed: bool = False) -> tuple[Compose, dict[str, Any]]:
    affine = np.diag([-1.0 if left_handed else 1.0, -1.1, 2.4, 1.0])[:, [2, 0, 1, 3]]
    affine[:3, 3] = (-31.7, 12.9, 8.3)
    values = torch.zeros(1, *SHAPE)
    values[:, 5:16, 4:13, 3:8] = 1
    meta = {"pixdim": np.ones(8), "filename_or_obj": "ct.nii"}
    prepare = Compose(list(steps))
    return prepare, prepare({"image": MetaTensor(values, torch.from_numpy(affine), meta)})


def scores(image: MetaTensor, classes: int) -> MetaTensor:
    """Smooth, with background of weight."""
    coarse = torch.randn(1, classes, 6, 5, 4, generator=torch.Generator().manual_seed(classes))
    fine = torch.nn.functional.interpolate(coarse, image.shape[1:], mode="trilinear")[0] * 6
    fine[0] += 3
    made: MetaTensor = MetaTensor(fine).copy_meta_from(image)
    return made


def steps_of(prepare: Compose, order: str, *, nearest: bool = False, **decide: Any) -> list[Any]:
    made = {
        "a": Activationsd("pred", softmax=True),
        "s": Activationsd("pred", sigmoid=True),
        "i": Invertd("pred", prepare, orig_keys="image", nearest_interp=nearest),
        "d": AsDiscreted("pred", **(decide or {"argmax": True})),
    }
    return [made[letter] for letter in order]


def assert_as_monai(steps: Sequence[Any], data: dict[str, Any], classes: int) -> torch.Tensor:
    found = scores_to_labels([*steps, KeepLargestConnectedComponentd("pred")])
    assert found is not None
    assert found.taken == len(steps)
    given = scores(data["image"], classes)
    before, trace = given.clone(), str(data["image"].applied_operations)
    own = found.step({**data, "pred": given})["pred"]
    theirs = Compose(list(steps))({**data, "pred": given.clone()})["pred"]
    assert own.dtype == torch.uint8
    np.testing.assert_array_equal(own.numpy(), theirs.numpy())
    assert torch.equal(own.affine, theirs.affine)
    assert own.applied_operations == theirs.applied_operations
    assert {**own.meta, "affine": 0}.keys() == {**theirs.meta, "affine": 0}.keys()
    np.testing.assert_array_equal(own.meta["pixdim"], theirs.meta["pixdim"])
    assert torch.equal(given.as_tensor(), before.as_tensor())  # what was given stays
    assert str(data["image"].applied_operations) == trace
    plain = given.as_tensor()
    streamed = found.step.stream(iter(plain.split(3, 1)), data)["pred"]
    assert torch.equal(streamed.as_tensor(), own.as_tensor())
    return own.as_tensor()


@pytest.mark.parametrize("classes", [1, 2, 4, 104])
@pytest.mark.parametrize("name", CHAINS)
def test_the_best_class_is_that_of_monai(name: str, classes: int) -> None:
    prepare, data = prepared(CHAINS[name])
    labels = assert_as_monai(steps_of(prepare, "aid"), data, classes)
    assert len(labels.unique()) > (1 if classes > 1 else 0)


@pytest.mark.parametrize("name", CHAINS)
def test_every_class_over_a_threshold_is_that_of_monai(name: str) -> None:
    prepare, data = prepared(CHAINS[name], left_handed=True)
    marks = assert_as_monai(steps_of(prepare, "sid", threshold=0.5), data, 3)
    assert marks.shape[0] == 3
    assert 0 < marks.float().mean() < 1


@pytest.mark.parametrize("order", ["adi", "di", "id", "aid"])
@pytest.mark.parametrize("name", CHAINS)
def test_the_nearest_voxel_is_that_of_monai(name: str, order: str) -> None:
    prepare, data = prepared(CHAINS[name])
    assert_as_monai(steps_of(prepare, order, nearest=True), data, 5)


@pytest.mark.parametrize(
    ("order", "decide"),
    [
        ("id", {"argmax": True}),
        ("aid", {"argmax": True, "to_onehot": 4}),
        ("id", {"threshold": 2.5}),
        ("aid", {"threshold": 0.3}),
    ],
)
def test_other_orders_and_decisions_are_those_of_monai(order: str, decide: dict[str, Any]) -> None:
    prepare, data = prepared(CHAINS["cropped"])
    assert_as_monai(steps_of(prepare, order, **decide), data, 4)


def test_equal_scores_are_the_first_class_and_what_was_cut_off_is_none() -> None:
    prepare, data = prepared([SpatialCropd("image", roi_start=(2, 2, 2), roi_end=(9, 9, 9))])
    found = scores_to_labels(steps_of(prepare, "id"))
    assert found is not None
    flat = torch.ones(3, 7, 7, 7)
    flat[0] = 0.5  # classes 1 and 2 are equal
    labels = found.step({**data, "pred": MetaTensor(flat)})["pred"]
    expected = np.zeros(SHAPE)
    expected[2:9, 2:9, 2:9] = 1
    np.testing.assert_array_equal(labels[0].numpy(), expected)


def test_what_is_not_along_the_axes_or_not_known_is_left_to_monai() -> None:
    prepare, data = prepared([turned("RAS"), Rotated("image", (0.2, 0, 0)), Spacingd("image", 2)])
    steps = steps_of(prepare, "aid")
    found = scores_to_labels(steps)
    assert found is not None
    given = scores(data["image"], 3)
    own = found.step({**data, "pred": given})["pred"]
    theirs = Compose(steps)({**data, "pred": given})["pred"]
    assert torch.equal(own.as_tensor(), theirs.as_tensor())
    streamed = found.step.stream(iter(given.as_tensor().split(2, 1)), data)["pred"]
    assert torch.equal(streamed.as_tensor(), theirs.as_tensor())


def test_a_chain_that_holds_one_of_several_steps_is_left_to_monai() -> None:
    prepare, data = prepared([OneOf([Flipd("image", 0), Flipd("image", 0)]), Spacingd("image", 2)])
    steps = steps_of(prepare, "aid")
    found = scores_to_labels(steps)
    assert found is not None
    given = scores(data["image"], 3)
    theirs = Compose(steps)({**data, "pred": given.clone()})["pred"]
    own = found.step({**data, "pred": given})["pred"]
    assert torch.equal(own.as_tensor(), theirs.as_tensor())


def test_an_oblique_volume_whose_grid_keeps_its_axes_is_that_of_monai() -> None:
    angle = np.deg2rad(17)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    prepare = Compose([turned("RAS"), Spacingd("image", (1.4, 1.2, 0.8))])
    data = prepare({"image": MetaTensor(torch.zeros(1, 14, 12, 9), torch.from_numpy(affine))})
    found = scores_to_labels(steps_of(prepare, "aid"))
    assert found is not None
    given = scores(data["image"], 4)
    theirs = Compose(steps_of(prepare, "aid"))({**data, "pred": given.clone()})["pred"]
    own = found.step({**data, "pred": given})["pred"]
    assert torch.equal(own.as_tensor(), theirs.as_tensor().byte())
    assert torch.allclose(own.affine, theirs.affine)


def test_steps_that_may_count_on_it_are_given_float32_as_monai_has_it() -> None:
    prepare, data = prepared(CHAINS["finer"])
    found = scores_to_labels([*steps_of(prepare, "aid"), Flipd("pred", 0)])
    assert found is not None
    assert found.step({**data, "pred": scores(data["image"], 3)})["pred"].dtype == torch.float32


def test_scores_that_are_not_finite_are_refused() -> None:
    prepare, data = prepared(CHAINS["finer"])
    found = scores_to_labels(steps_of(prepare, "aid"))
    assert found is not None
    bad = scores(data["image"], 3)
    bad[1, 4, 4, 4] = torch.nan
    with pytest.raises(ValueError, match="the network gave scores that are not finite"):
        found.step({**data, "pred": bad})


def test_parts_of_scores_that_are_one_voxel_seen_many_times_are_not_copied() -> None:
    """So a gate gives what it has not looked at."""
    prepare, data = prepared(CHAINS["finer"])
    found = scores_to_labels(steps_of(prepare, "aid"))
    assert found is not None
    whole = scores(data["image"], 3).as_tensor()
    beyond = torch.tensor([1e4, -1e4, -1e4])[:, None, None, None]
    whole[:, :9] = beyond
    nothing = beyond.expand(3, 9, *whole.shape[2:])
    expected = found.step({**data, "pred": MetaTensor(whole)})["pred"]
    own = found.step.stream(iter([nothing, whole[:, 9:]]), data)["pred"]
    assert torch.equal(own.as_tensor(), expected.as_tensor())
    assert own.any()


class Sharpened(AsDiscreted):
    """A step that only looks like MONAI's."""


@pytest.mark.parametrize(
    ("order", "decide"),
    [("adi", {"argmax": True}), ("aid", {"argmax": True, "threshold": 0.5}),
     ("sid", {"threshold": 0.0}), ("iad", {"argmax": True}), ("aid", {"rounding": "torchrounding"}),
     ("aid", {"argmax": True, "dim": 1})],
)  # fmt: skip
def test_arguments_that_it_does_not_know_are_left_to_monai(
    order: str, decide: dict[str, Any]
) -> None:
    prepare, _ = prepared([])
    assert scores_to_labels(steps_of(prepare, order, **decide)) is None


def test_classes_made_of_monais_are_left_as_they_are() -> None:
    prepare, _ = prepared([])
    assert scores_to_labels([*steps_of(prepare, "ai"), Sharpened("pred", argmax=True)]) is None
    assert scores_to_labels(steps_of(prepare, "aid")) is not None
