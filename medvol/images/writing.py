# SPDX-License-Identifier: Apache-2.0
"""Writing volumes and masks as NIfTI.

The header is made from nothing: one copied from the input would carry a patient's name along in
its free text fields and extensions.
"""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import InputError
from ..files import replacing
from ..spatial import Affine, shear_cosine
from .checks import MAX_LABEL
from .deflate import errors, gzip_packer, unpacked
from .files import GZIP_MAGIC

QFORM_SHEAR_COSINE = 1e-4  # a qform is a rotation and cannot say more shear than float32 noise


def write_volume(
    path: str | os.PathLike[str], volume: npt.NDArray[Any], affine: Affine, *, runs: bool = False
) -> None:
    """Write a volume as `.nii` or `.nii.gz`, whole or not at all; same input, same bytes.

    The affine goes into the sform (code 1) and the qform (code 1). NIfTI keeps both in float32: an
    affine read from a NIfTI sform comes back exactly, one computed in float64 (DICOM) rounded to
    the nearest float32. A sheared grid (tilted gantry) has no true qform, since that is a rotation;
    it gets the sform alone, with qform code 0. NiBabel and MONAI then place it rightly; ITK and 3D
    Slicer, which believe a qform first, refuse the file instead of showing it in a wrong place.

    Args:
        path: ends in `.nii` or `.nii.gz`.
        volume: (X, Y, Z), any type that NIfTI knows (CT: int16 HU), stored as it is.
        affine: (4, 4), voxel index to RAS mm.
        runs: the volume is a mask, see `deflate.gzip_packer`.

    Raises:
        ValueError: another suffix, not three axes, or an affine that cannot be inverted.
        InputError: E_NOSPACE, it cannot be written, or reads back differently.
    """
    name = os.fspath(path)
    if not name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{name!r} does not end in .nii or .nii.gz; choose one of these")
    if volume.ndim != 3:
        raise ValueError(f"the volume has {volume.ndim} axes; give an array of 3 axes (X, Y, Z)")
    check_affine(affine)
    volume = np.asfortranarray(volume)  # as the file has it; else each look at it takes ten times
    voxels = volume.astype(volume.dtype.newbyteorder("="), copy=False).T.data
    data = b"".join((_header(volume, affine), voxels))
    with replacing(path) as temporary:
        packer = gzip_packer(runs=runs)
        packed = name.endswith(".gz")
        temporary.write_bytes(packer.compress(data) + packer.flush() if packed else data)
        if not _reads_back(temporary.read_bytes(), data, volume, affine):
            reason = "the file reads back differently from what was written."
            remedy = "Check the disk, or choose another output folder."
            raise InputError("E_NOSPACE", path, reason, remedy)


def write_mask(path: str | os.PathLike[str], labels: npt.NDArray[Any], affine: Affine) -> None:
    """Write a mask as `.nii` or `.nii.gz`, whole or not at all; same input, same bytes.

    The affine is stored as `write_volume` says.

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


def check_affine(affine: Affine) -> None:
    """Refuse what takes no voxel to a place.

    Raises:
        ValueError: the affine is not (4, 4), not finite, or singular.
    """
    if np.shape(affine) != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(f"the affine is {affine}; give (4, 4) finite numbers")
    if abs(np.linalg.det(np.asarray(affine)[:3, :3])) < 1e-12:
        raise ValueError(f"the affine {affine} has no volume per voxel; give independent axes")


def _header(volume: npt.NDArray[Any], affine: Affine) -> bytes:
    """All that lies before the voxels: nibabel would copy these several times to write them."""
    import nibabel

    image = nibabel.Nifti1Image(volume, np.asarray(affine, np.float64))
    rectangular = shear_cosine(affine) <= QFORM_SHEAR_COSINE
    image.set_qform(affine if rectangular else None, code=1 if rectangular else 0)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    header = image.header
    header["descrip"] = f"medvol {__version__}".encode()
    header["magic"] = header.single_magic
    header.set_data_offset(header.single_vox_offset)
    header.set_slope_inter(1, 0)
    block: bytes = header.binaryblock
    return block.ljust(header.single_vox_offset, b"\0")  # without extensions


def _reads_back(written: bytes, data: bytes, volume: npt.NDArray[Any], affine: Affine) -> bool:
    """Whether the file's bytes unpack to `data`, and that means this volume in this place."""
    import nibabel

    try:
        packed = written.startswith(GZIP_MAGIC)
        content = unpacked(written) if packed else written
    except errors:
        return False
    if content != data:
        return False
    image = nibabel.Nifti1Image.from_bytes(content)
    stored = image.dataobj
    voxels: npt.NDArray[Any] = np.ndarray(
        stored.shape, stored.dtype, content, stored.offset, order="F"
    )
    same_place = np.array_equal(image.affine, np.asarray(affine, np.float32))
    as_stored = (stored.slope, stored.inter) == (1, 0)
    return same_place and as_stored and np.array_equal(voxels, volume)
