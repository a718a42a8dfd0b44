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
from pydicom.uid import SecondaryCaptureImageStorage

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


def test_each_slice_has_its_own_rescale_where_its_stored_values_have(tmp_path: Path) -> None:
    slopes = [1, 2, 3]
    series = phantoms.ct_series(np.array([np.full((16, 16), 3600 // x) for x in slopes], np.uint16))
    for slope, one in zip(slopes, series, strict=True):
        one.RescaleSlope = slope
    phantoms.write(tmp_path, series)

    assert load_dicom(tmp_path).array[0, 0].tolist() == [2576, 2576, 2576]  # 3600 - 1024


@pytest.mark.parametrize("number", [0, 4, 7])
def test_one_slice_with_four_times_the_slope_of_its_series_is_named(
    tmp_path: Path, number: int
) -> None:
    series = phantoms.ct_series()
    series[number].RescaleSlope = 4
    phantoms.write(tmp_path, series)

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == ("E_VALUES", f"IM{number:03d}.dcm")
    assert "slope 4 and intercept -1024" in error.reason
    assert "with the same rescale they are 10 HU apart" in error.reason  # the step of the phantom


@pytest.mark.parametrize(("slope", "read"), [(1.02, True), (1.03, False)])
def test_a_slope_is_judged_by_tissue_however_little_there_is(
    tmp_path: Path, slope: float, read: bool
) -> None:
    stored = np.full((4, 16, 16), 24, np.uint16)
    stored[:, ::4, 4] = 1064  # a few pixels at 40 HU, moved by 21 or 32 HU
    series = phantoms.ct_series(stored)
    series[1].RescaleSlope = slope
    phantoms.write(tmp_path, series)

    if read:
        assert load_dicom(tmp_path).array[4, 0, 1] == pytest.approx(61.28)  # 1064 * 1.02 - 1024
    else:
        assert "puts the two 32 HU apart" in refusal(tmp_path).reason


@pytest.mark.parametrize(("intercept", "read"), [(-999, True), (-998, False)])
def test_an_intercept_beside_others_may_be_off_by_25_hu(
    tmp_path: Path, intercept: int, read: bool
) -> None:
    series = phantoms.ct_series(np.full((4, 16, 16), 1024, np.uint16))
    series[0].PixelData = np.full((16, 16), 1025, np.uint16).tobytes()
    series[3].RescaleIntercept = intercept
    phantoms.write(tmp_path, series)

    if read:
        assert load_dicom(tmp_path).array[0, 0].tolist() == [1, 0, 0, 25]
    else:
        assert "intercept -998" in refusal(tmp_path).reason


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


@pytest.mark.parametrize(
    ("padding", "limit", "applied", "kept"),
    [
        (0, None, [], [0]),  # water of a CT that is stored in HU
        (-1024, 200, [-1024, -1000], [-999, -800, 0, 40]),  # nearly everything
        (-999, None, [], [-999]),
        (-1000, None, [-1000], []),
        (3071, None, [], [3071]),  # metal
        (3072, None, [3072], []),
    ],
    ids=["water", "range", "above air", "air", "metal", "above metal"],
)
def test_padding_that_lies_in_the_body_is_left_alone(
    tmp_path: Path, padding: int, limit: int | None, applied: list[int], kept: list[int]
) -> None:
    stored = np.array([-1024, -1000, -999, -800, 0, 40, 3071, 3072], np.int16)
    changed = {"PixelPaddingValue": padding, "PixelPaddingRangeLimit": limit}
    series = phantoms.ct_series(
        np.tile(stored, (3, 4, 1)), PixelRepresentation=1, BitsStored=16, HighBit=15,
        RescaleIntercept=0,
    )  # fmt: skip
    for one in series:
        for name, value in changed.items():
            if value is not None:
                one.add_new(name, "SS", value)
    phantoms.write(tmp_path, series)

    image = load_dicom(tmp_path)

    air = [-1024 if value in applied else value for value in stored.tolist()]
    assert image.array[:, 0, 0].tolist() == air
    assert image.facts.get("padding_voxels", 0) == 3 * 4 * len(applied)
    assert [str(note).split(" voxels")[0] for note in image.notes] == (
        [f"N_PADDING {3 * 4 * len(kept)}"] if kept else []
    )


def test_an_mr_needs_no_rescale_and_keeps_its_padding(tmp_path: Path) -> None:
    phantoms.write(
        tmp_path,
        phantoms.ct_series(
            Modality="MR", RescaleSlope=None, RescaleIntercept=None, PixelPaddingValue=1048
        ),
    )

    assert load_dicom(tmp_path).array[4, 5, 2] == 1048


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


@pytest.mark.parametrize("word", ["HU", "hounsfield", "HOUNSFIELD UNITS ", "US"])
def test_words_for_hounsfield(tmp_path: Path, word: str) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(RescaleType=word))

    assert load_dicom(tmp_path).array[3, 5, 2] == 1000


def test_a_ct_without_modality_is_known_by_its_class(tmp_path: Path) -> None:
    phantoms.write(tmp_path / "ct", phantoms.ct_series(Modality=None))
    other = phantoms.ct_series(Modality=None, SOPClassUID=SecondaryCaptureImageStorage)
    phantoms.write(tmp_path / "other", other)

    assert load_dicom(tmp_path / "ct").facts["Modality"] == "CT"
    image = load_dicom(tmp_path / "other")  # its values will say what it is
    assert "Modality" not in image.facts
    assert image.array[3, 5, 2] == 1000


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
