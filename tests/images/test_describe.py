# SPDX-License-Identifier: Apache-2.0
"""What is said of a volume, and which of it points at a patient."""

import re
from pathlib import Path

from dicom_phantoms import SERIES_UID, ct_series, write

from medvol.images import read_image
from medvol.images.describe import describe


def test_without_its_identifying_facts_a_series_cannot_be_found_again(tmp_path: Path) -> None:
    write(tmp_path / "case", ct_series())
    image = read_image(tmp_path / "case")
    assert describe(image)["facts"]["SeriesInstanceUID"] == SERIES_UID
    passed_on = image.public_facts
    assert passed_on["ConvolutionKernel"] == "B70f"
    assert not re.search(r"(\d+\.){4}", str(passed_on))  # no UID of any kind
