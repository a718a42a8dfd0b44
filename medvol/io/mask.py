# SPDX-License-Identifier: Apache-2.0
"""Label masks as NIfTI on the grid of the image they belong to."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ..spatial import Affine
from .volume_writer import write_volume

MAX_LABEL = 65535


def write_mask(path: str | os.PathLike[str], labels: npt.NDArray[Any], affine: Affine) -> None:
    """Write a mask as `.nii` or `.nii.gz`, whole or not at all; same input, same bytes.

    The affine is stored as `volume_writer.write_volume` says.

    Args:
        path: ends in `.nii` or `.nii.gz`.
        labels: (X, Y, Z) integers in 0..65535 in the image's own voxel order; stored as uint8, or
            as uint16 when one is above 255.
        affine: (4, 4), voxel index to RAS mm.

    Raises:
        ValueError: another suffix, axes, type or range, or an affine that cannot be inverted.
        InputError: E_NOSPACE, it cannot be written, or reads back differently.
    """
    write_volume(path, as_mask(labels), affine, runs=True)


def as_mask(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The labels in the smallest unsigned type that holds them: uint8, or uint16 above 255.

    Args:
        labels: (X, Y, Z) bool or integers in 0..65535.

    Raises:
        ValueError: other axes, no voxels, another type, or a value out of range.
    """
    if labels.ndim != 3 or not labels.size:
        raise ValueError(f"labels have shape {labels.shape}; give 3 axes (X, Y, Z) with voxels")
    if labels.dtype.kind not in "bui":
        raise ValueError(f"labels are {labels.dtype}; give whole numbers of an integer type")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > MAX_LABEL:
        raise ValueError(f"labels lie in {lowest}..{highest}; give values in 0..{MAX_LABEL}")
    return labels.astype(np.uint8 if highest <= 255 else np.uint16, copy=False)
