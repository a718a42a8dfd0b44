# SPDX-License-Identifier: Apache-2.0
"""Second readers of images, which share no code with medvol's."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Read = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]
warnings.simplefilter("ignore")


def by_nibabel(path: Path) -> Read:
    """Values (X, Y, Z) and the affine to RAS mm, of NIfTI."""
    import nibabel

    image: Any = nibabel.load(path)
    factor = {1: 1000.0, 3: 0.001}.get(int(image.header["xyzt_units"]) & 7, 1.0)
    values = np.asanyarray(image.dataobj)
    affine = image.affine.copy()
    affine[:3] *= factor
    return values.reshape(values.shape[:3]), affine


def by_simpleitk(path: Path) -> Read:
    """The same of NRRD and MetaImage."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    head, mark, data = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    if b"CompressedData = True" in head and b"CompressedDataSize =" not in head:  # ITK needs it
        head += f"CompressedDataSize = {len(data)}\n".encode()
        path.write_bytes(head + mark + data)
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    axes = image.GetDimension()
    directions = np.array(image.GetDirection()).reshape(axes, axes)[:3, :3]
    affine[:3, :3] = directions * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    values = SimpleITK.GetArrayFromImage(image).T
    return values.reshape(values.shape[:3]), np.diag([-1.0, -1, 1, 1]) @ affine


def by_pydicom(path: Path) -> Read:
    """The same of a folder of slices, sorted along their normal."""
    import pydicom

    slices = [pydicom.dcmread(file, force=True) for file in sorted(path.parent.iterdir())]
    for each in slices:
        if not each.file_meta.get("TransferSyntaxUID"):
            implicit = each.original_encoding[0]
            each.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2" + ("" if implicit else ".1")
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    slices.sort(key=lambda x: np.cross(row, column) @ np.array(x.ImagePositionPatient, float))
    values = [x.pixel_array * float(x.RescaleSlope) + float(x.RescaleIntercept) for x in slices]
    between_rows, between_columns = (float(x) for x in slices[0].PixelSpacing)
    first, last = (np.array(slices[k].ImagePositionPatient, float) for k in (0, -1))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * between_columns, column * between_rows
    affine[:3, 2], affine[:3, 3] = (last - first) / (len(slices) - 1), first
    return np.stack(values, -1).transpose(1, 0, 2), np.diag([-1.0, -1, 1, 1]) @ affine


def by_pillow(path: Path) -> Read:
    """Grey (rows, columns) as it is stored, upright; of colours their brightness."""
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        turned = ImageOps.exif_transpose(picture)
        plain = turned.mode in ("1", "L", "I", "F") or turned.mode.startswith("I;16")
        return np.asarray(turned if plain else turned.convert("RGB").convert("L")), np.eye(4)
