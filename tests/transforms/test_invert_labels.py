# SPDX-License-Identifier: Apache-2.0
"""Labels brought back class by class equal MONAI's Invertd and argmax over all classes at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscreted, Compose, Flipd, Invertd
from phantoms import save_nifti, tiny_chest

from medvol.chains import Chain, lung_ct
from medvol.transforms.invert_labels import InvertLabelsd


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


def test_the_networks_input_and_scores_are_left_as_they_are(ct: Path) -> None:
    prepare = chain()
    data = prepare({"image": str(ct)})
    scores = probabilities(data["image"])
    before, operations = scores.clone(), list(data["image"].applied_operations)
    InvertLabelsd("pred", prepare)({**data, "pred": scores})
    assert torch.equal(scores.as_tensor(), before.as_tensor())
    assert data["image"].applied_operations == operations
