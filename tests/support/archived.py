# SPDX-License-Identifier: Apache-2.0
"""Studies as an archive holds them: with every UID, and given to Orthanc."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dicom_phantoms import ct_series, write
from orthanc import Orthanc
from phantoms import tiny_chest
from pydicom.dataset import Dataset

STUDY = "1.2.826.0.1.3680043.8.498.7"
SERIES = STUDY + ".1"
CHEST = tiny_chest(noise_hu=5)
WHOLE = 16  # slices of it


def ct_study(
    *, study: str = STUDY, series: str = SERIES, slices: int = 8, number: int = 1,
    description: str = "Chest", **changed: object,
) -> list[Dataset]:  # fmt: skip
    """One series of a study, with UIDs that are the same each time.

    Args:
        slices: so many of the lowest of `tiny_chest`, which has 16.
        study, series, number, description, changed: of the headers.
    """
    stored = (CHEST.ct.astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16).transpose(2, 1, 0)
    images = ct_series(
        stored[:slices], series=series, PixelSpacing=[3, 3], StudyInstanceUID=study,
        SeriesNumber=number, FrameOfReferenceUID=study + ".9",
        **{"SeriesDescription": description, **changed},
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
