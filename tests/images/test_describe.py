# SPDX-License-Identifier: Apache-2.0
"""What is said of a volume, and which of it points at a patient."""

import re
from pathlib import Path

import numpy as np
import pytest
from dicom_phantoms import SERIES_UID, ct_series, write
from phantoms import tiny_chest

from medvol.images import describe as module
from medvol.images import read_image
from medvol.images.describe import describe
from medvol.images.image import Image
from medvol.images.modality import CT, checked_ct


def test_without_its_identifying_facts_a_series_cannot_be_found_again(tmp_path: Path) -> None:
    write(tmp_path / "case", ct_series())
    image = read_image(tmp_path / "case")
    assert describe(image)["facts"]["SeriesInstanceUID"] == SERIES_UID
    passed_on = image.public_facts
    assert passed_on["ConvolutionKernel"] == "B70f"
    assert not re.search(r"(\d+\.){4}", str(passed_on))  # no UID of any kind


def test_a_ct_that_was_judged_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(tiny_chest(noise_hu=5).ct, np.diag([8.0, 8.0, 8.0, 1.0]), Path("ct.nii.gz"))
    before = describe(image)
    assert before["modality"] == CT
    checked = checked_ct(image)
    monkeypatch.setattr(module, "guess_modality", None)
    assert describe(checked) == before
