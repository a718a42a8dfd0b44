# SPDX-License-Identifier: Apache-2.0
"""Names of masks: alone, behind MONAI's SaveImaged, and as the shipped bundles ask for them."""

import json
from pathlib import Path
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from phantoms import l_shape

from medvol.bundle.find import shipped_bundles
from medvol.images import read_image
from medvol.images.reader import ImageReader
from medvol.outputs.mask import CaseLayout

WRITER = "medvol.outputs.mask.MaskWriter"
SAVING = [
    folder
    for folder in shipped_bundles().values()
    if "SaveImaged" in (folder / "configs/inference.json").read_text(encoding="utf-8")
]


def prediction(path: str, value: int = 1) -> dict[str, MetaTensor]:
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


def test_masks_of_like_names_do_not_replace_each_other(tmp_path: Path) -> None:
    save = SaveImaged(keys="pred", writer=WRITER, folder_layout=CaseLayout(tmp_path / "out"))
    save(prediction("scans/1.2.840.10", value=1))
    save(prediction("scans/1.2.840.11", value=2))
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
    save(prediction("scans/1.2.840.10"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / expected]
