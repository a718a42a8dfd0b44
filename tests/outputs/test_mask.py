# SPDX-License-Identifier: Apache-2.0
"""Masks written by MONAI's SaveImaged with medvol's writer, under the names of their cases."""

import json
from pathlib import Path
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
import torch
from grids import GRIDS
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from phantoms import l_shape

from medvol.bundle.find import shipped_bundles
from medvol.images import read_image
from medvol.images.reader import ImageReader
from medvol.outputs.mask import CaseLayout, MaskWriter

NAME = "medvol.outputs.mask.MaskWriter"
SAVING = [
    folder
    for folder in shipped_bundles().values()
    if "SaveImaged" in (folder / "configs/inference.json").read_text(encoding="utf-8")
]


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


def called(path: str, value: int = 1) -> dict[str, MetaTensor]:
    labels = torch.as_tensor(value * l_shape()[None])
    return {"pred": MetaTensor(labels, meta={"filename_or_obj": path})}


@pytest.mark.parametrize(
    ("options", "subject", "expected"),
    [
        ({}, "in/1.2.840.10", "out/1.2.840.10_seg.nii.gz"),
        ({}, "in/a.nii.gz", "out/a_seg.nii.gz"),
        ({"postfix": "", "extension": "nii"}, "in/a.mha", "out/a.nii"),
        ({"separate_folder": True}, "in/a.b.nrrd", "out/a.b/a.b_seg.nii.gz"),
        ({}, "0", "out/0_seg.nii.gz"),
    ],
    ids=["dots", "suffix", "no postfix", "folders", "no name"],
)
def test_name(options: dict[str, Any], subject: str, expected: str) -> None:
    assert CaseLayout("out", **options).filename(subject=subject) == Path(expected)


def test_patches_of_one_image_have_names_of_their_own() -> None:
    assert CaseLayout("out").filename(subject="a.nii", idx=3) == Path("out/a_seg_3.nii.gz")


def test_the_number_of_a_patch_does_not_lead_out_of_the_folder() -> None:
    """Metadata of an image give it, so that it can be any text."""
    named = CaseLayout("out").filename(subject="a.nii", idx="/../../b")
    assert named == Path("out/a_seg__.._.._b.nii.gz")


def test_masks_of_like_names_do_not_replace_each_other(tmp_path: Path) -> None:
    save = SaveImaged(keys="pred", writer=NAME, folder_layout=CaseLayout(tmp_path / "out"))
    save(called("scans/1.2.840.10", value=1))
    save(called("scans/1.2.840.11", value=2))
    largest = {
        path.name: int(np.asarray(nibabel.load(path).dataobj).max())
        for path in (tmp_path / "out").iterdir()
    }
    assert largest == {"1.2.840.10_seg.nii.gz": 1, "1.2.840.11_seg.nii.gz": 2}


def test_a_dicom_folder_is_called_by_its_whole_name(tmp_path: Path) -> None:
    folder = tmp_path / "1.2.840.10"
    dicom_phantoms.write(folder, dicom_phantoms.ct_series())
    _, read_by_monai = ImageReader().get_data(folder)
    for meta in (read_image(folder).meta, read_by_monai):
        assert CaseLayout("out").filename(subject=meta["filename_or_obj"]) == Path(
            "out/1.2.840.10_seg.nii.gz"
        )


@pytest.mark.parametrize("folder", SAVING, ids=[folder.name for folder in SAVING])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "1.2.840.10_seg.nii.gz"),
        ({"output_postfix": "mask", "output_ext": ".nii"}, "1.2.840.10_mask.nii"),
        ({"separate_folder": True}, "1.2.840.10/1.2.840.10_seg.nii.gz"),
    ],
    ids=["as shipped", "postfix and suffix", "folders"],
)
def test_shipped_bundles_name_masks_by_case(
    folder: Path, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    config = json.loads((folder / "configs/inference.json").read_text(encoding="utf-8"))
    steps = config["postprocessing"]["transforms"]
    (number,) = (n for n, step in enumerate(steps) if step["_target_"] == "SaveImaged")
    parser = ConfigParser({**config, "output_dir": str(tmp_path), **changes})
    save = parser.get_parsed_content(f"postprocessing#transforms#{number}")
    save(called("scans/1.2.840.10"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / expected]
