# SPDX-License-Identifier: Apache-2.0
"""Volumes that a tiny bundle does not resample, so that its mask is known voxel by voxel."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from phantoms import CONSOLIDATION_HU, LUNG_HU, l_shape
from tiny_bundle import tiny_bundle

NOTHING = {"_target_": "Identityd", "keys": "pred"}
EVEN = {  # and looks for neither a body nor lungs
    "preprocessing#spacing_mm": [5.0, 5.0, 5.0], "preprocessing#crop": "$None",
    "postprocessing#transforms#1": NOTHING, "postprocessing#transforms#2": NOTHING,
}  # fmt: skip

VOXEL_MM = 5.0  # the bundle's own, so that nothing is resampled
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def even(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The grid with voxels of 5 mm along each axis."""
    grid = affine.copy()
    grid[:3, :3] *= VOXEL_MM / np.linalg.norm(affine[:3, :3], axis=0)
    return grid


def nrrd_of(array: npt.NDArray[Any], affine: npt.NDArray[np.float64], folder: Path) -> bytes:
    """A volume as 3D Slicer sends it: NRRD, not compressed, written by ITK."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path = folder / "input-volume0.nrrd"
    sitk.WriteImage(image, path, useCompression=False)
    return path.read_bytes()


def marked_lung(affine: npt.NDArray[np.float64], folder: Path) -> bytes:
    """Lung with an L of consolidation in it, as `nrrd_of` gives it, with voxels of 5 mm."""
    hu = np.where(l_shape(), CONSOLIDATION_HU, LUNG_HU).astype(np.int16)
    return nrrd_of(hu, even(affine), folder)


def even_bundle(folder: Path) -> Path:
    """A bundle whose mask of `marked_lung` is consolidation in the L and lung around it."""
    return tiny_bundle(folder, EVEN)
