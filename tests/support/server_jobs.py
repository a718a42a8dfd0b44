# SPDX-License-Identifier: Apache-2.0
"""What tests of a server send to it and wait for."""

import zipfile
from pathlib import Path

import numpy as np
from dicom_phantoms import ct_slice, write
from phantoms import tiny_chest
from pydicom.dataset import Dataset

from medvol.server.images import Stored
from medvol.server.jobs import Job
from medvol.server.service import Service

LONG_S = 60.0
STUDY = "1.2.826.0.1.3680043.8.498.7"


def sent(service: Service, path: Path, name: str | None = None) -> Stored:
    """An image that a client sends."""
    with service.images.receiving(name or path.name) as coming:
        coming.write(path.read_bytes())
    assert coming.stored is not None
    return coming.stored


def done(service: Service, image: str, bundle: str = "tiny_ct", **options: object) -> Job:
    """A job that is over."""
    job = service.jobs.wait(service.submit(image, bundle, options).id, LONG_S)
    assert job.is_over
    return job


def chest_series(number: int, description: str) -> list[Dataset]:
    """`phantoms.tiny_chest` as slices of a series of `STUDY`."""
    chest = tiny_chest(noise_hu=5)
    stored = np.clip(chest.ct + 1024, 0, 4095).astype(np.uint16)
    step = np.linalg.norm(chest.affine[:3, :3], axis=0)
    return [
        ct_slice(
            stored[:, :, z].T, (0.0, 0.0, float(step[2]) * z), series=f"{STUDY}.{number}",
            StudyInstanceUID=STUDY, SeriesNumber=number, SeriesDescription=description,
            InstanceNumber=z + 1, FrameOfReferenceUID=f"{STUDY}.9",
            PixelSpacing=[float(step[1]), float(step[0])],
        )
        for z in range(stored.shape[2])
    ]  # fmt: skip


def two_series(folder: Path) -> Path:
    """A .zip of a study with two series, "thin" and "thick", both of the same phantom."""
    (folder / "slices").mkdir(parents=True)
    paths = write(folder / "slices", [*chest_series(1, "thin"), *chest_series(2, "thick")])
    packed = folder / "study.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    return packed
