# SPDX-License-Identifier: Apache-2.0
"""An image of another kind is refused with the bundles that take it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused_by

from medvol.bundle.spec import read_spec
from medvol.errors import InputError
from medvol.tasks.cases import AS_IT_IS, Case, read_case
from medvol.tasks.suited import bundles_for, with_bundles
from medvol.tasks.task import task_of

CT = ["covid_ct_lesion_25d", "covid_ct_lesion_3d", "covid_ct_slice_classifier"]
XR = ["chest_xray_covid", "chest_xray_pneumonia", "chest_xray_pneumonia_type"]


def test_bundles_that_take_an_image_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path / "own"))
    assert bundles_for({"CT"}) == CT
    picture, volume = tmp_path / "a.png", tmp_path / "b.nrrd"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    volume.write_bytes(b"NRRD0004\n")
    ct, xr = read_spec(CT[0]), read_spec(XR[0])
    for error, spec, names in (
        (InputError("E_FORMAT", picture, "it is a PNG picture.", "Mend it."), ct, XR),
        (InputError("E_FORMAT", volume, "its content is NRRD.", "Mend it."), xr,
         ["brain_mri_tumor", *CT]),
        (InputError("E_MODALITY", "x", "its DICOM header says CT; no.", "Mend it."), xr, CT),
        (InputError("E_MODALITY", "x", "a CT in HU is expected; looks like MR", "Mend it."), ct,
         ["brain_mri_tumor"]),
    ):  # fmt: skip
        said = with_bundles(error, spec)
        assert (said.code, said.path, said.reason) == (error.code, error.path, error.reason)
        assert said.remedy == f"Mend it. Bundles for such an image: {', '.join(names)}."
    for error, spec in (
        (InputError("E_FORMAT", picture, "it is cut.", "Mend it."), xr),
        (InputError("E_FORMAT", tmp_path / "none.png", "it is not there.", "Mend it."), ct),
        (InputError("E_TRUNCATED", volume, "it is a CT, cut.", "Mend it."), xr),
    ):
        assert with_bundles(error, spec) is error


def test_a_picture_for_a_bundle_of_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path / "own"))
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    task = task_of(read_spec(CT[0]))
    error = refused_by(lambda: read_case(task, Case(picture), AS_IT_IS), "E_FORMAT")
    assert error.reason == "it is a PNG picture."
    assert error.remedy.endswith(f"Bundles for such an image: {', '.join(XR)}.")
