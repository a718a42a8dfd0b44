# SPDX-License-Identifier: Apache-2.0
"""A class is not shown as a mask: what tells MONAI Label and MONAI Deploy, and lets others pass."""

from typing import Any

import torch
from monai.data.meta_tensor import MetaTensor
from refusals import refused_by

from medvol.transforms.not_a_mask import NotAMaskd

STEP = NotAMaskd("pred", "a probability for each slice")


def data(meta: dict[str, Any], **more: Any) -> dict[str, Any]:
    image = MetaTensor(torch.zeros(1, 2, 2, 2), meta=meta)
    return {"image": image, "pred": torch.tensor([0.2, 0.8]), **more}


def test_behind_a_reader_the_data_pass() -> None:
    given = data({"filename_or_obj": "ct.nii.gz"})
    passed = STEP(given)
    assert passed is not given
    assert passed.keys() == given.keys()
    assert all(passed[key] is given[key] for key in given)


def test_monai_label_is_refused_by_the_path_that_it_puts_beside_the_image() -> None:
    given = data({"filename_or_obj": "ct.nii.gz"}, image_path="/scans/ct.nii.gz")
    error = refused_by(lambda: STEP(given), "E_BUNDLE")
    assert error.path == "/scans/ct.nii.gz"
    assert "a probability for each slice, and MONAI Label shows masks only" in error.reason


def test_monai_deploy_is_refused_by_the_file_that_it_did_not_read() -> None:
    error = refused_by(lambda: STEP(data({})), "E_BUNDLE")
    assert "a probability for each slice, of which MONAI Deploy would name no class" in error.reason
    assert "medvol predict" in error.remedy
