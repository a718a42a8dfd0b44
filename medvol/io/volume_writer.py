# SPDX-License-Identifier: Apache-2.0
"""Writing image volumes as NIfTI with a header made from nothing."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..spatial import Affine
from .atomic import replacing

GZIP_LEVEL = 5  # level 9 takes four times as long on CT and saves 2 %


def write_volume(path: Path, volume: npt.NDArray[Any], affine: Affine) -> None:
    """Write a volume as `.nii` or `.nii.gz`, whole or not at all; same input, same bytes.

    Args:
        path: ends in `.nii` or `.nii.gz`.
        volume: (X, Y, Z), any type that NIfTI knows (CT: int16 HU), stored as it is.
        affine: (4, 4), voxel index to RAS mm; goes into sform and qform, both code 1.

    Raises:
        ValueError: the name has another suffix, or the volume has not three axes.
        InputError: E_NOSPACE, it cannot be written.
    """
    import nibabel

    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path.name!r} does not end in .nii or .nii.gz; choose one of these")
    if volume.ndim != 3:
        raise ValueError(f"the volume has {volume.ndim} axes; give an array of 3 axes (X, Y, Z)")
    image = nibabel.Nifti1Image(volume, np.asarray(affine, dtype=np.float64))
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"medvol {__version__}".encode()
    data = image.to_bytes()
    with replacing(path) as temporary:
        packed = gzip.compress(data, GZIP_LEVEL, mtime=0) if path.suffix == ".gz" else data
        temporary.write_bytes(packed)
