# SPDX-License-Identifier: Apache-2.0
"""Labels and probabilities reach the input's own voxels and slices, whatever the chain did."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grids import each_grid
from monai.data import MetaTensor
from monai.transforms import AsDiscreted, Compose, Flipd, Invertd
from phantoms import save_nifti, tiny_chest

from medvol.chains import Chain, lung_ct
from medvol.spatial import feet_head_axis, slice_z_mm
from medvol.transforms.restore import (
    GateProbabilityd,
    InvertLabelsd,
    InvertSlicesd,
    on_input_slices,
    slice_positions,
)


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    made = tiny_chest(noise_hu=10)
    return save_nifti(tmp_path / "ct.nii.gz", made.ct, made.affine)


def chain(**settings: Any) -> Chain:
    return lung_ct(**{"spacing_mm": (1.7, 2.3, 3.1), "crop_margin_mm": 4.0, **settings})


def probabilities(like: MetaTensor, classes: int = 4, *, smooth: bool = False) -> MetaTensor:
    scores = torch.randn(classes, *like.shape[1:], generator=torch.Generator().manual_seed(2))
    if smooth:
        scores = torch.nn.functional.avg_pool3d(scores[None], 5, 1, 2)[0] * 10
    return MetaTensor(scores.softmax(0)).copy_meta_from(like)


def by_monai(transform: Chain, data: dict[str, Any]) -> MetaTensor:
    invert = Invertd("pred", transform, orig_keys="image", nearest_interp=False)
    result: MetaTensor = Compose([invert, AsDiscreted("pred", argmax=True)])(data)["pred"]
    return result


@pytest.mark.parametrize("smooth", [False, True], ids=["noise", "smooth"])
@pytest.mark.parametrize("crop", ["chest", "lungs", "body", None])
def test_equal_to_monai_voxel_by_voxel(ct: Path, crop: str | None, smooth: bool) -> None:
    prepare = chain(crop=crop)
    data = prepare({"image": str(ct)})
    data["pred"] = probabilities(data["image"], smooth=smooth)
    own, theirs = InvertLabelsd("pred", prepare)(dict(data))["pred"], by_monai(prepare, dict(data))
    assert own.shape == (1, 32, 32, 16)
    assert len(own.unique()) == 4
    # where the crop keeps only some of the voxels around, theirs has less than 1 in sum
    data["pred"] = MetaTensor(torch.ones(1, *data["image"].shape[1:]))
    invert = Invertd("pred", prepare, orig_keys="image", nearest_interp=False)
    inside = invert(data)["pred"].as_tensor() > 1 - 1e-5
    assert inside.sum() > 2000
    assert torch.equal(own[inside].as_tensor(), theirs[inside].as_tensor().to(torch.uint8))
    assert torch.equal(own.affine, theirs.affine)


def test_the_result_is_uint8_on_the_files_own_grid(ct: Path) -> None:
    prepare = chain()
    data = prepare({"image": str(ct)})
    data["pred"] = probabilities(data["image"])
    out = InvertLabelsd("pred", prepare)(data)["pred"]
    assert out.dtype == torch.uint8
    np.testing.assert_array_equal(out.affine.numpy(), tiny_chest().affine)
    assert out.meta["filename_or_obj"] == str(ct)


def test_what_the_crop_removed_is_background(ct: Path) -> None:
    """All is class 3 as far as the network sees; beyond, nothing is."""
    prepare = chain(spacing_mm=(2.0, 2.0, 4.0), crop="lungs", crop_margin_mm=0.0)
    data = prepare({"image": str(ct)})
    scores = torch.zeros(4, *data["image"].shape[1:])
    scores[3] = 1
    data["pred"] = MetaTensor(scores).copy_meta_from(data["image"])
    out = InvertLabelsd("pred", prepare)(data)["pred"][0].numpy()
    expected = np.zeros((32, 32, 16))
    expected[6:26, 10:22, 4:12] = 3  # the box round the lungs
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("scores", "label"),
    [([0.5, 0.5, 0.0], 0), ([0.2, 0.4, 0.4], 1), ([0.1, 0.3, 0.6], 2), ([0.0, 0.0, 0.0], 0)],
)
def test_among_equals_the_smaller_label_wins(ct: Path, scores: list[float], label: int) -> None:
    prepare = chain(spacing_mm=(2.0, 2.0, 4.0), crop=None)
    data = prepare({"image": str(ct)})
    volume = torch.tensor(scores)[:, None, None, None].expand(3, 32, 32, 16).contiguous()
    data["pred"] = MetaTensor(volume).copy_meta_from(data["image"])
    assert InvertLabelsd("pred", prepare)(data)["pred"].unique().tolist() == [label]


def test_plain_tensors_and_other_keys_work(ct: Path) -> None:
    """An engine may give `pred` without meta, and the image may have another name."""
    prepare = chain(image_key="ct")
    data = prepare({"ct": str(ct)})
    scores = probabilities(data["ct"])
    invert = InvertLabelsd("pred", prepare, orig_keys="ct")
    plain = invert({**data, "pred": scores.as_tensor()})["pred"]
    assert torch.equal(plain.as_tensor(), invert({**data, "pred": scores})["pred"].as_tensor())
    assert len(plain.unique()) == 4


def test_more_than_256_classes_get_a_wider_type() -> None:
    prepare = Chain([Flipd("image", 0)], name="flip", settings={})
    image = prepare({"image": MetaTensor(torch.zeros(1, 1, 1, 1))})["image"]
    scores = torch.zeros(301, 1, 1, 1)
    scores[300] = 1
    out = InvertLabelsd("pred", prepare)({"image": image, "pred": MetaTensor(scores)})["pred"]
    assert (out.dtype, out.item()) == (torch.int32, 300)


@pytest.mark.parametrize(("classes", "dtype"), [(256, torch.uint8), (257, torch.int32)])
def test_as_many_classes_as_a_byte_holds_fit_it(classes: int, dtype: torch.dtype) -> None:
    prepare = Chain([Flipd("image", 0)], name="flip", settings={})
    image = prepare({"image": MetaTensor(torch.zeros(1, 1, 1, 1))})["image"]
    scores = torch.eye(classes)[-1].reshape(-1, 1, 1, 1)
    out = InvertLabelsd("pred", prepare)({"image": image, "pred": MetaTensor(scores)})["pred"]
    assert (out.dtype, out.item()) == (dtype, classes - 1)


def test_scores_that_are_not_finite_are_refused() -> None:
    data = {"image": MetaTensor(torch.zeros(1, 1, 1, 1)), "pred": torch.full((2, 1, 1, 1), np.nan)}
    with pytest.raises(
        ValueError, match=r"^the network gave scores that are not finite; check its"
    ):
        InvertLabelsd("pred", Chain([], name="none", settings={}))(data)


def test_the_networks_input_and_scores_are_left_as_they_are(ct: Path) -> None:
    prepare = chain()
    data = prepare({"image": str(ct)})
    scores = probabilities(data["image"])
    before, operations = scores.clone(), list(data["image"].applied_operations)
    InvertLabelsd("pred", prepare)({**data, "pred": scores})
    assert torch.equal(scores.as_tensor(), before.as_tensor())
    assert data["image"].applied_operations == operations


THICK = np.diag([2.0, 2.0, 10.0, 1.0])  # slices at 0, 10, 20, 30 mm


def grid(z_spacing_mm: float, first_mm: float = 0.0) -> np.ndarray:
    affine = np.diag([1.0, 1.0, z_spacing_mm, 1.0])
    affine[2, 3] = first_mm
    return affine


def test_between_two_slices_it_is_interpolated() -> None:
    values = torch.tensor([[0.0, 1.0, 0.5, 0.0]])
    found = on_input_slices(values, THICK, (3, 3, 7), grid(5.0))
    assert found.tolist() == [[0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]]


def test_half_a_slice_beyond_the_ends_the_last_is_repeated_and_then_nothing_was_looked_at() -> None:
    """Slices of the network reach from -5 to 35 mm; the input has some at -8, -4, 0 ... 40 mm."""
    values = torch.tensor([[0.9, 0.9, 0.9, 0.9]])
    found = on_input_slices(values, THICK, (3, 3, 13), grid(4.0, -8.0))
    looked_at = [0] + [1] * 10 + [0] * 2
    assert np.allclose(found[0], 0.9 * np.array(looked_at))


def test_exactly_half_a_slice_beyond_either_end_is_within() -> None:
    """Slices at -5, 5 ... 35 mm, and then at -5.1, 5.02 ... 35.5 mm."""
    for affine, expected in [(grid(10.0, -5.0), [True] * 5), (grid(10.15, -5.1), [0, 1, 1, 1, 0])]:
        at, inside = slice_positions(4, THICK, (3, 3, 5), affine)
        assert inside.tolist() == expected
        assert at.tolist() == pytest.approx(
            [(affine[2, 3] + k * affine[2, 2]) / 10 for k in range(5)]
        )


def test_of_several_classes_the_first_is_certain_where_nothing_was_looked_at() -> None:
    values = torch.tensor([[0.25, 0.25], [0.75, 0.75]])
    found = on_input_slices(values, THICK, (3, 3, 3), grid(10.0, -10.0))
    assert found.tolist() == [[1.0, 0.25, 0.25], [0.0, 0.75, 0.75]]


def test_slices_from_head_to_feet_are_turned() -> None:
    values = torch.tensor([[0.0, 0.5, 1.0]])
    assert on_input_slices(values, THICK, (3, 3, 3), grid(-10.0, 20.0)).tolist() == [[1, 0.5, 0]]


def test_a_tilt_of_rounding_is_not_a_tilt() -> None:
    nearly = THICK.copy()
    nearly[2, 1] = 0.0009  # over slices of 10 mm: 9e-5 of a slice a voxel
    assert on_input_slices(torch.zeros(1, 3), nearly, (3, 3, 3), THICK).shape == (1, 3)
    nearly[2, 1] = 0.0011
    with pytest.raises(ValueError, match="tilted"):
        on_input_slices(torch.zeros(1, 3), nearly, (3, 3, 3), THICK)


def test_tilted_slices_are_refused() -> None:
    tilted = THICK.copy()
    tilted[2, 0] = 0.1
    with pytest.raises(ValueError, match=r"^the network's slices are tilted .*; give a chain that"):
        on_input_slices(torch.zeros(1, 3), tilted, (3, 3, 3), THICK)


@each_grid
def test_each_slice_comes_back_to_its_place_behind_the_chain(
    affine: np.ndarray, tmp_path: Path
) -> None:
    """What is said of the chain's slices is their z; so the input's slices get their own."""
    made = tiny_chest()
    ct = save_nifti(tmp_path / "ct.nii", made.ct, affine)
    image = lung_ct(spacing_mm=(2.0, 2.0, 2.5), crop=None)({"image": str(ct)})["image"]
    z_mm = slice_z_mm(image.shape[1:], image.affine.numpy())
    assert np.all(np.diff(z_mm) > 0)
    data = {"image": image, "slices": torch.from_numpy(z_mm)[None]}
    found = InvertSlicesd("slices")(data)["slices"][0].numpy()
    expected = slice_z_mm(made.ct.shape, affine)
    assert len(found) == made.ct.shape[feet_head_axis(affine)]
    inner = (expected > z_mm[0]) & (expected < z_mm[-1])
    assert inner.sum() >= len(found) - 2
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-2)


def test_a_missing_item_is_passed_over() -> None:
    image = MetaTensor(torch.zeros(1, 2, 2, 2), meta={
        "spatial_shape": [2, 2, 2], "original_affine": np.eye(4)})  # fmt: skip
    assert list(InvertSlicesd("slices")({"image": image})) == ["image"]


def test_an_image_that_no_reader_made_says_its_shape_by_its_chain(ct: Path) -> None:
    image = chain()({"image": ct})["image"]
    said = torch.linspace(0, 1, image.shape[-1])[None]
    expected = InvertSlicesd("slices")({"image": image, "slices": said})["slices"]
    del image.meta["spatial_shape"]
    found = InvertSlicesd("slices")({"image": image, "slices": said})["slices"]
    assert torch.equal(found, expected)
    image.applied_operations = []
    with pytest.raises(ValueError, match="neither `spatial_shape` nor applied operations"):
        InvertSlicesd("slices")({"image": image, "slices": said})


class Gate:
    def __init__(self, probability: torch.Tensor | None) -> None:
        self.probability = probability


def test_what_the_gate_said_joins_the_data() -> None:
    said = torch.tensor([[0.1, 0.9]])
    assert torch.equal(GateProbabilityd("slices", Gate(said))({"a": 1})["slices"], said)
    assert GateProbabilityd("slices", Gate(None))({"a": 1}) == {"a": 1}
    with pytest.raises(ValueError, match="seen 2 volumes at once; give a batch size of 1"):
        GateProbabilityd("slices", Gate(said.expand(2, 2)))({})
