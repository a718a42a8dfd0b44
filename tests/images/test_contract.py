# SPDX-License-Identifier: Apache-2.0
"""Every format that medvol reads passes the contract of the family."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import dicom_phantoms
import numpy as np
import SimpleITK as sitk
from contracts.formats import RADIOGRAPH, VOLUME, FormatContract, Save
from phantoms import TINY_AFFINE, save_nifti
from pydicom.dataset import Dataset
from radiographs import grey_values, save_cr, save_picture

from medvol.images.formats import FORMATS

LPS = np.diag([-1.0, -1, 1, 1]) @ TINY_AFFINE


def by_itk(name: str) -> Save:
    """Written by SimpleITK, the judge."""

    def save(folder: Path) -> Path:
        image = sitk.GetImageFromArray(VOLUME.T)
        spacing = np.linalg.norm(LPS[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(LPS[:3, 3].tolist())
        image.SetDirection((LPS[:3, :3] / spacing).ravel().tolist())
        sitk.WriteImage(image, str(folder / name), useCompression=True)
        return folder / name

    return save


def slices() -> list[Dataset]:
    """`VOLUME` as a series, stored values from 0 on."""
    stored = (VOLUME.transpose(2, 1, 0) + 1024).astype(np.uint16)
    return [
        dicom_phantoms.ct_slice(image, tuple(LPS[:3, 3] + [0, 0, 4.0 * k]), PixelSpacing=[2, 2])
        for k, image in enumerate(stored)
    ]


def save_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "image.zip", "w") as archive:
        for k, image in enumerate(slices()):
            stream = io.BytesIO()
            image.save_as(stream, enforce_file_format=True)
            archive.writestr(f"IM{k:03d}", stream.getvalue())
    return folder / "image.zip"


def by_pillow(name: str) -> Callable[[Path], Path]:
    return lambda folder: save_picture(folder / name)


class TestNifti(FormatContract):
    name = "NIfTI"
    kinds: ClassVar = {"volume": lambda d: save_nifti(d / "image.nii.gz", VOLUME, TINY_AFFINE)}


class TestNrrd(FormatContract):
    name = "NRRD"
    kinds: ClassVar = {"volume": by_itk("image.nrrd")}


class TestMetaImage(FormatContract):
    name = "MetaImage"
    kinds: ClassVar = {"volume": by_itk("image.mha")}


class TestZip(FormatContract):
    name = "zip"
    kinds: ClassVar = {"volume": save_zip}


class TestDicom(FormatContract):
    name = "DICOM"
    kinds: ClassVar = {"radiograph": lambda d: save_cr(d / "image.dcm", grey_values())}


class TestPng(FormatContract):
    name = "PNG"
    kinds: ClassVar = {"radiograph": by_pillow("image.png")}


class TestJpeg(FormatContract):
    name = "JPEG"
    kinds: ClassVar = {
        "radiograph": lambda d: save_picture(d / "image.jpg", quality=100, subsampling=0)
    }
    tolerance = 4 / 255


class TestTiff(FormatContract):
    name = "TIFF"
    kinds: ClassVar = {"radiograph": by_pillow("image.tif")}


class TestGif(FormatContract):
    name = "GIF"
    kinds: ClassVar = {"radiograph": by_pillow("image.gif")}


class TestBmp(FormatContract):
    name = "BMP"
    kinds: ClassVar = {"radiograph": by_pillow("image.bmp")}


def test_every_format_is_under_contract() -> None:
    under = {case.name: case.kinds for case in FormatContract.__subclasses__()}
    assert sorted(under) == sorted(form.name for form in FORMATS)
    for form in FORMATS:
        assert ("radiograph" in under[form.name]) == (form.radiograph is not None)
        assert ("volume" in under[form.name]) == (form.volume is not None and form.alone)
    assert RADIOGRAPH.shape == (20, 24)
