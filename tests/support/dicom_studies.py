# SPDX-License-Identifier: Apache-2.0
"""Studies as an archive holds them: with every UID, and given to Orthanc."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dicom_phantoms import ct_series, write
from orthanc import Orthanc
from pydicom.dataset import Dataset

STUDY = "1.2.826.0.1.3680043.8.498.7"
SERIES = STUDY + ".1"


def ct_study(
    *, study: str = STUDY, series: str = SERIES, slices: int = 8, number: int = 1,
    description: str = "Chest", **changed: object,
) -> list[Dataset]:  # fmt: skip
    """One series of a study, with UIDs that are the same each time."""
    values = np.full((slices, 16, 16), 1024, np.uint16)
    values += 10 * np.arange(slices, dtype=np.uint16)[:, None, None]
    images = ct_series(
        values, series=series, StudyInstanceUID=study, SeriesNumber=number,
        FrameOfReferenceUID=study + ".9", **{"SeriesDescription": description, **changed},
    )  # fmt: skip
    for k, image in enumerate(images):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{series}.{k + 1}"
        image.InstanceNumber = k + 1
    return images


def give(archive: Orthanc, images: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write images into a folder, and give them to an archive."""
    paths = write(folder, images)
    for path in paths:
        archive.put(path)
    return paths
