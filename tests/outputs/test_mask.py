# SPDX-License-Identifier: Apache-2.0
"""Masks written by MONAI's SaveImaged with medvol's writer."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from grids import GRIDS
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from phantoms import l_shape

from medvol.outputs.mask import MaskWriter

NAME = "medvol.outputs.mask.MaskWriter"


def prediction(affine: np.ndarray, dtype: torch.dtype = torch.float32) -> MetaTensor:
    labels = torch.as_tensor(l_shape()[None]).to(dtype)
    meta = {"filename_or_obj": "somewhere/ct_1.nii.gz", "original_affine": affine}
    return MetaTensor(labels, affine=torch.as_tensor(affine), meta=meta)


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize("grid", ["LPS", "SAR", "oblique-left-handed"])
def test_save_imaged_writes_the_mask_on_its_grid(grid: str, resample: bool, tmp_path: Path) -> None:
    save = SaveImaged(
        keys="pred", writer=NAME, output_dir=tmp_path, output_postfix="seg", resample=resample
    )
    save({"pred": prediction(GRIDS[grid])})
    image = nibabel.load(tmp_path / "ct_1" / "ct_1_seg.nii.gz")
    assert np.array_equal(image.affine, GRIDS[grid])
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asanyarray(image.dataobj), l_shape())


def test_mask_on_another_grid_is_brought_to_the_image(tmp_path: Path) -> None:
    flipped = prediction(GRIDS["LPS"])
    turned = np.asarray(GRIDS["LPS"] @ [[-1, 0, 0, 11], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    flipped.meta["original_affine"] = turned
    flipped.meta["spatial_shape"] = [12, 10, 8]
    save = SaveImaged(keys="pred", writer=NAME, output_dir=tmp_path, resample=True)
    save({"pred": flipped})
    image = nibabel.load(tmp_path / "ct_1" / "ct_1_trans.nii.gz")
    assert np.array_equal(image.affine, turned)
    assert np.array_equal(np.asanyarray(image.dataobj), l_shape()[::-1])


def test_array_without_channel_or_place() -> None:
    writer = MaskWriter(output_dtype=np.float32)
    writer.set_data_array(l_shape(), channel_dim=None)
    writer.set_metadata(None)
    assert np.array_equal(writer.data_obj, l_shape())
    assert np.array_equal(writer.affine, np.eye(4))


def test_scores_of_several_channels_are_no_mask() -> None:
    with pytest.raises(ValueError, match="has 3 channels; make labels"):
        MaskWriter().set_data_array(np.zeros((3, 4, 4, 4), np.float32))


def test_probabilities_are_no_mask() -> None:
    with pytest.raises(ValueError, match="numbers that are not whole"):
        MaskWriter().set_data_array(np.full((1, 4, 4, 4), 0.5, np.float32))
