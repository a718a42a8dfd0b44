# SPDX-License-Identifier: Apache-2.0
"""Label masks as NIfTI on the grid of the image they belong to."""

import os
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spatial import Affine, same_grid
from .image import Image
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


def check_pair(image: Image, mask: Image, *, values: Collection[int]) -> None:
    """Refuse a mask that does not belong to its image.

    Raises:
        InputError: E_GEOMETRY, the grids differ; E_VALUES, the mask has a value not in `values`.
    """
    if not same_grid(image.array.shape, image.affine, mask.array.shape, mask.affine):
        raise InputError(
            "E_GEOMETRY",
            mask.path,
            f"the mask of shape {mask.array.shape} does not lie on the grid of "
            f"{image.path.name}, shape {image.array.shape}.",
            "Resample the mask to the image's grid (nearest neighbour), or correct its affine.",
        )
    odd = sorted(set(np.unique(mask.array).tolist()) - set(values))
    if odd:
        raise InputError(
            "E_VALUES",
            mask.path,
            f"the mask holds {', '.join(f'{v:g}' for v in odd[:5])}; "
            f"known values are {', '.join(map(str, values))}.",
            "Check that the file is the mask that its name says.",
        )
