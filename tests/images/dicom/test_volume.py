# SPDX-License-Identifier: Apache-2.0
"""DICOM pixels become the right values at the right place; nothing of the patient is kept."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import dicom_phantoms as phantoms
import highdicom
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_phantoms import SHIPPED, brightest, refusal, world
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medvol.images.dicom import volume as dicom
from medvol.images.dicom.series import read_study
from medvol.images.dicom.volume import load_dicom
from medvol.spatial import RAS_TO_LPS, spacing_mm


def read_by_itk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z) and affine to RAS of a folder as SimpleITK has it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), RAS_TO_LPS @ affine


def test_marker_has_its_value_and_its_place_in_the_patient(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series())

    image = load_dicom(tmp_path)

    assert image.array.shape == (16, 16, 8)
    assert image.array.dtype == np.int16
    assert brightest(image) == (3, 5, 2)
    assert image.array[3, 5, 2] == 1000  # 2024 - 1024
    assert image.array[4, 5, 2] == 24  # 1024 + 10 * 2 + 4 - 1024
    # LPS (-20 + 3 * 0.75, -30 + 5 * 0.5, 100 + 2 * 2.5), then x and y negated
    assert world(image, (3, 5, 2)) == [17.75, 27.5, 105.0]
    assert spacing_mm(image.affine) == (0.75, 0.5, 2.5)
    assert image.notes == ()


@pytest.mark.parametrize(
    "orientation", [phantoms.AXIAL, phantoms.SLANTED], ids=["axial", "oblique"]
)
@pytest.mark.parametrize("reverse", [False, True], ids=["upwards", "downwards"])
def test_two_other_readers_agree_on_regular_series(
    tmp_path: Path, orientation: Sequence[float], reverse: bool
) -> None:
    series = phantoms.ct_series(orientation=orientation, FrameOfReferenceUID="1.2.3")
    phantoms.write(tmp_path, series[::-1] if reverse else series)

    image = load_dicom(tmp_path)

    values, affine = read_by_itk(tmp_path)
    np.testing.assert_array_equal(image.array, values)
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    other = highdicom.get_volume_from_series(series)
    for voxel in ((0, 0, 0), (15, 3, 7), (2, 9, 4)):
        place = RAS_TO_LPS @ image.affine @ [*voxel, 1]
        k, row, column = (
            int(x) for x in np.rint(other.map_reference_to_indices(place[None, :3])[0])
        )
        assert other.array[k, row, column] == image.array[voxel]


def test_a_rescale_may_be_a_fraction(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(RescaleSlope=0.5, RescaleIntercept=-500.25))

    image = load_dicom(tmp_path)

    assert image.array.dtype == np.float32
    assert image.array[4, 5, 2] == 23.75  # 1048 / 2 - 500.25
    np.testing.assert_allclose(image.array, read_by_itk(tmp_path)[0])


def test_monochrome1_is_a_matter_of_display_and_leaves_hu_alone(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(PhotometricInterpretation="MONOCHROME1"))

    assert load_dicom(tmp_path).array[4, 5, 2] == 24  # 1048 - 1024; SimpleITK inverts it


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    series = phantoms.ct_series(np.full((3, 16, 16), 100, np.uint16))
    for slope, one in enumerate(series, start=1):
        one.RescaleSlope = slope
    phantoms.write(tmp_path, series)

    assert load_dicom(tmp_path).array[0, 0].tolist() == [-924, -824, -724]


def test_signed_values_and_values_above_int16(tmp_path: Path) -> None:
    signed = phantoms.stored_values().astype(np.int16) - 2000
    bits = {"BitsStored": 16, "HighBit": 15}
    phantoms.write(
        tmp_path / "signed",
        phantoms.ct_series(signed, PixelRepresentation=1, RescaleIntercept=0, **bits),
    )
    large = phantoms.stored_values()
    large[7, 0, 0] = 65000
    phantoms.write(tmp_path / "large", phantoms.ct_series(large, **bits))

    image = load_dicom(tmp_path / "signed")
    assert image.array[4, 5, 2] == -952  # 1048 - 2000
    assert image.facts["stored_dtype"] == "int16"
    image = load_dicom(tmp_path / "large")
    assert image.array.dtype == np.float32
    assert image.array[0, 0, 7] == 63976
    assert image.array[4, 5, 2] == 24


@pytest.mark.parametrize(
    ("padding", "limit", "stored"),
    [(-2000, None, -2000), (63536, None, -2000), (-2000, -1990, -1995)],
    ids=["value", "written-as-unsigned", "range"],
)
def test_padding_becomes_air(tmp_path: Path, padding: int, limit: int | None, stored: int) -> None:
    values = phantoms.stored_values().astype(np.int16)
    values[:, 0, :2] = stored
    series = phantoms.ct_series(values, PixelRepresentation=1, BitsStored=16, HighBit=15)
    for one in series:
        vr = "US" if padding > 0 else "SS"
        one.add_new("PixelPaddingValue", vr, padding)
        if limit is not None:
            one.add_new("PixelPaddingRangeLimit", "SS", limit)
    phantoms.write(tmp_path, series)

    image = load_dicom(tmp_path)

    assert image.array[:2, 0].tolist() == [[-1024] * 8] * 2
    assert image.array[2, 0, 0] == 2
    assert image.facts["padding_voxels"] == 16


def test_an_mr_needs_no_rescale_and_keeps_its_padding(tmp_path: Path) -> None:
    phantoms.write(
        tmp_path,
        phantoms.ct_series(
            Modality="MR", RescaleSlope=None, RescaleIntercept=None, PixelPaddingValue=1048
        ),
    )

    assert load_dicom(tmp_path).array[4, 5, 2] == 1048


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=str)
def test_compressed_pixels_are_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    values = np.tile(phantoms.stored_values(3), (1, 4, 4))  # JPEG 2000 wants 32 pixels or more
    series = phantoms.ct_series(values)
    for one in series:
        one.compress(syntax)
    phantoms.write(tmp_path, series)

    np.testing.assert_array_equal(
        load_dicom(tmp_path).array, values.transpose(2, 1, 0).astype(np.int16) - 1024
    )


def test_facts_are_technical_and_name_nobody(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series())

    facts = load_dicom(tmp_path).facts

    assert facts == {
        "format": "DICOM",
        "stored_dtype": "uint16",
        "SeriesInstanceUID": phantoms.SERIES_UID,
        "Modality": "CT",
        "ConvolutionKernel": "B70f",
        "KVP": 120.0,
        "SliceThickness": 2.0,
        "Manufacturer": "Phantom Works",
        "TransferSyntax": "Explicit VR Little Endian",
    }
    assert "ecret" not in str(read_study(tmp_path))


def test_a_syntax_that_no_package_reads_is_named(tmp_path: Path) -> None:
    series = phantoms.ct_series()
    for one in series:
        one.compress(RLELossless)
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    phantoms.write(tmp_path, series)

    error = refusal(tmp_path)

    assert error.code == "E_DECODER"
    assert "MPEG2 Main Profile / Main Level" in error.reason
    assert "uncompressed" in error.remedy


def test_a_missing_decoder_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        is_available = False
        missing_dependencies = ("pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-rle>=2.0",)

    series = phantoms.ct_series()
    for one in series:
        one.compress(RLELossless)
    phantoms.write(tmp_path, series)
    monkeypatch.setattr(dicom, "get_decoder", lambda _: Absent)

    error = refusal(tmp_path)

    assert error.code == "E_DECODER"
    assert "RLE Lossless" in error.reason
    assert "pylibjpeg-rle" in error.remedy


def test_claimed_size_is_judged_before_memory_is_taken(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(Rows=65000, Columns=65000))

    assert refusal(tmp_path).code == "E_TOO_BIG"


def test_regular_ct_shipped_with_pydicom(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "98892001" / "CT5N", tmp_path / "ct")

    image = load_dicom(tmp_path / "ct")

    values, affine = read_by_itk(tmp_path / "ct")
    np.testing.assert_array_equal(image.array, values)
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    assert image.array.dtype == np.int16


def test_jpeg_lossless_slices_of_a_hospital(real_data: Path) -> None:
    folder = real_data / "ct_formats" / "dicom_P002_z78-89"

    image = load_dicom(folder)

    assert image.array.shape == (512, 512, 12)
    assert spacing_mm(image.affine) == (0.603515625, 0.603515625, 2.0)
    values, affine = read_by_itk(folder)
    np.testing.assert_array_equal(image.array, values)
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
