# SPDX-License-Identifier: Apache-2.0
"""Two scans under one series are refused with what differs; one scan in parts is one volume."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pytest
from dicom_phantoms import ORIGIN_LPS, STEP_MM, ct_series, ct_slice, refusal
from pydicom.dataset import Dataset

from medvol.errors import InputError
from medvol.images.dicom.mixing import check_likeness
from medvol.images.dicom.volume import load_dicom
from medvol.spatial import spacing_mm

HU = phantoms.stored_values(16).transpose(2, 1, 0).astype(np.int16) - 1024


def interleaved(one: dict[str, Any], other: dict[str, Any]) -> list[Dataset]:
    """Sixteen slices of half a step, every other one with the header values of `other`."""
    return [
        ct_slice(values, np.add(ORIGIN_LPS, (0, 0, k * STEP_MM / 2)), **(other if k % 2 else one))
        for k, values in enumerate(phantoms.stored_values(16))
    ]


def in_parts(
    change_at: int, back_at: int, one: dict[str, Any], other: dict[str, Any]
) -> list[Dataset]:
    """Sixteen slices, of which those from `change_at` to `back_at` have the values of `other`."""
    return [
        ct_slice(values, np.add(ORIGIN_LPS, (0, 0, k * STEP_MM)),
                 **(other if change_at <= k < back_at else one))
        for k, values in enumerate(phantoms.stored_values(16))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Modality", ("CT", "MR")),
        ("PatientID", ("SECRET-1", "SECRET-2")),
        ("StudyInstanceUID", ("1.2.777.1", "1.2.777.2")),
        ("FrameOfReferenceUID", ("1.2.777.1", "1.2.777.2")),
    ],
)
@pytest.mark.parametrize("make", [interleaved, lambda a, b: in_parts(8, 16, a, b)])
def test_a_series_of_two_patients_studies_or_frames(
    tmp_path: Path, name: str, values: tuple[str, str], make: Callable[..., list[Dataset]]
) -> None:
    phantoms.write(tmp_path, make({name: values[0]}, {name: values[1]}))

    error = refusal(tmp_path)

    assert (error.code, error.path) == ("E_SERIES", str(tmp_path))
    assert (
        error.reason == f"{name} differs within the series (8 + 8 images), so it is not one scan."
    )
    assert not any(value in error.reason for value in values)


MIXED = [
    ("AcquisitionNumber", (1, 2), "1 in 8, 2 in 8 images"),
    ("ConvolutionKernel", ("B70f", "B30f"), "B70f in 8, B30f in 8 images"),
    ("SliceThickness", (1.25, 5), "1.25 mm in 8, 5 mm in 8 images"),
]


@pytest.mark.parametrize(("name", "values", "words"), MIXED)
def test_two_scans_half_a_step_apart(
    tmp_path: Path, name: str, values: tuple[Any, Any], words: str
) -> None:
    phantoms.write(tmp_path, interleaved({name: values[0]}, {name: values[1]}))

    error = refusal(tmp_path)

    assert error.code == "E_SERIES"
    assert error.reason.startswith(
        f"slices of different {name} lie between each other ({words}), so "
    )


@pytest.mark.parametrize(("name", "values"), [row[:2] for row in MIXED])
def test_a_scan_in_parts_is_one_volume(tmp_path: Path, name: str, values: tuple[Any, Any]) -> None:
    phantoms.write(tmp_path, in_parts(9, 16, {name: values[0]}, {name: values[1]}))

    image = load_dicom(tmp_path)

    np.testing.assert_array_equal(image.array, HU)
    assert image.notes == ()


def test_a_part_inside_another_or_over_its_end_is_refused(tmp_path: Path) -> None:
    names = {"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}
    phantoms.write(tmp_path / "inside", in_parts(9, 10, *names))
    assert "1 in 15, 2 in 1 images" in refusal(tmp_path / "inside").reason
    later = ct_series(phantoms.stored_values() + 1, AcquisitionNumber=2)
    phantoms.write(tmp_path / "twice", [*ct_series(AcquisitionNumber=1), *later])
    assert "1 in 8, 2 in 8 images" in refusal(tmp_path / "twice").reason


@pytest.mark.parametrize("missing", [None, ""])
def test_what_a_few_slices_do_not_say_is_no_difference(tmp_path: Path, missing: str | None) -> None:
    absent = dict.fromkeys(("PatientID", "ConvolutionKernel", "SliceThickness"), missing)
    phantoms.write(tmp_path, interleaved({}, absent))
    np.testing.assert_array_equal(load_dicom(tmp_path).array, HU)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize(
    ("numbers", "mixed"),
    [
        (range(1, 17), ""),
        (range(16, 0, -1), ""),
        ([1] * 16, ""),
        ([10**20 + k for k in range(16)], ""),
        ([3, 1, 4, 2, 8, 6, 7, 5, 16, 14, 15, 13, 9, 11, 10, 12], ""),
        ([k // 2 + 1 for k in range(16)], "1 to 8 and 1 to 8"),
        ([k // 2 + 1 + 8 * (k % 2) for k in range(16)], "1 to 8 and 9 to 16"),
        ([k // 2 + 1 if k % 2 else 8 - k // 2 for k in range(16)], "8 to 1 and 1 to 8"),
    ],
    ids=[
        "up",
        "down",
        "all one",
        "huge",
        "no order",
        "twice",
        "one after the other",
        "up and down",
    ],
)
def test_slices_that_are_numbered_in_turns(
    tmp_path: Path, numbers: list[int], mixed: str, modality: str
) -> None:
    """One patient, study, frame, kernel and acquisition, or none named at all."""
    series = interleaved({"Modality": modality}, {"Modality": modality})
    for number, one in zip(numbers, series, strict=True):
        one.InstanceNumber = number
    phantoms.write(tmp_path, series)
    if mixed and modality == "CT":
        error = refusal(tmp_path)
        assert error.code == "E_SERIES"
        assert f"numbered on its own (InstanceNumber {mixed}), so two scans" in error.reason
    else:
        image = load_dicom(tmp_path)
        np.testing.assert_array_equal(image.array, HU)
        assert spacing_mm(image.affine)[2] == STEP_MM / 2


@pytest.mark.parametrize(("count", "refused"), [(4, True), (3, False)])
def test_from_when_on_numbers_in_turns_are_no_chance(
    tmp_path: Path, count: int, refused: bool
) -> None:
    series = interleaved({}, {})[: 2 * count]
    for k, one in enumerate(series):
        one.InstanceNumber = k // 2 + 1
    phantoms.write(tmp_path, series)
    if refused:
        assert refusal(tmp_path).code == "E_SERIES"
    else:
        np.testing.assert_array_equal(load_dicom(tmp_path).array, HU[..., : 2 * count])


def blank(series: list[Dataset]) -> list[Dataset]:
    """Without any UID, number or name that could tell scans apart."""
    for one in series:
        for name in ("SeriesInstanceUID", "SOPInstanceUID", "PatientID", "ConvolutionKernel"):
            setattr(one, name, "")
        del one.SliceThickness
    return series


def test_two_scans_without_any_uid_are_told_by_their_pixels(tmp_path: Path) -> None:
    """The second scan is of another breath: what is at column x in one is at x + 8 there."""
    series = blank(interleaved({}, {}))
    phantoms.write(tmp_path / "one", series)
    np.testing.assert_array_equal(load_dicom(tmp_path / "one").array, HU)
    for k, values in enumerate(phantoms.stored_values(16)):
        wide = values + 15 * np.arange(16, dtype=np.uint16)
        series[k].PixelData = (np.roll(wide, 8, axis=1) if k % 2 else wide).tobytes()
    phantoms.write(tmp_path / "two", series)

    error = refusal(tmp_path / "two")

    # 8 columns are 128 HU apart, and slices 10: they differ by 138 or 118 HU, as often
    assert error.code == "E_SERIES"
    assert "differ more (by 128 HU) than slices two apart (by 20 HU)" in error.reason


@pytest.mark.parametrize(("shift_hu", "refused"), [(21, False), (23, True)])
def test_from_when_on_slices_are_unlike_their_neighbours(shift_hu: int, refused: bool) -> None:
    """Slices two apart differ by 20 HU; those between lie `shift_hu` off, half up and half down."""
    array = np.zeros((8, 8, 16)) + 10 * np.arange(16)
    array[:4, :, 1::2] += shift_hu
    array[4:, :, 1::2] -= shift_hu
    if refused:
        with pytest.raises(InputError, match="E_SERIES ct: neighbouring slices differ more"):
            check_likeness(Path("ct"), array)
    else:
        check_likeness(Path("ct"), array)


@pytest.mark.parametrize(("odd", "refused"), [(range(1, 14, 2), True), (range(1, 10, 2), False)])
def test_how_many_slices_must_be_unlike_their_neighbours(odd: range, refused: bool) -> None:
    """Of 14 slices with two neighbours; 7 odd ones spoil all of them, 5 spoil 10 or 71 %."""
    array = np.zeros((8, 8, 16))
    array[..., list(odd)] = 100
    if refused:
        with pytest.raises(InputError, match="neighbouring slices differ more"):
            check_likeness(Path("ct"), array)
    else:
        check_likeness(Path("ct"), array)


def in_pairs(share: float, pairs: int, count: int = 24) -> np.ndarray:
    """(4, 4, count) HU that grow by 10, but within the first pairs by this share of that."""
    gaps = np.full(count - 1, 10.0)
    gaps[1 : 2 * pairs : 2] *= share
    return np.zeros((4, 4, count)) + np.cumsum([0, *gaps])


@pytest.mark.parametrize(
    ("share", "pairs", "refused"),
    [(0.89, 11, True), (0.91, 11, False), (0, 9, True), (0, 8, False)],
)
def test_from_when_on_slices_come_in_pairs(share: float, pairs: int, refused: bool) -> None:
    """Of 11 gaps that have two beside them; 9 of them are 82 %, 8 are 73 %."""
    if refused:
        words = (
            rf"E_SERIES ct: the slices come in pairs that differ less \(by {share * 10:.0f} HU\)"
        )
        with pytest.raises(InputError, match=words if pairs == 11 else "in pairs"):
            check_likeness(Path("ct"), in_pairs(share, pairs))
    else:
        check_likeness(Path("ct"), in_pairs(share, pairs))


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("count", range(1, 6))
def test_a_box_in_a_few_slices_is_no_pair(first: int, count: int) -> None:
    array = np.full((16, 16, 8), -1000, np.int16)
    array[4:12, 4:12, first : first + count] = 40
    check_likeness(Path("ct"), array)


def test_real_volumes_are_like_their_neighbours(real_data: Path) -> None:
    import nibabel

    volume = np.asarray(nibabel.load(real_data / "ct_radiopaedia" / "rp3_ct.nii.gz").dataobj)
    check_likeness(Path("ct"), volume)
    mixed = volume[..., :40].copy()
    mixed[..., 1::2] = np.roll(mixed[..., 1::2], 8, axis=1)
    with pytest.raises(InputError, match="neighbouring slices differ more"):
        check_likeness(Path("ct"), mixed)
    twice = volume[..., :20].repeat(2, axis=2).astype(np.float32)
    twice[..., 1::2] += np.random.default_rng(0).normal(0, 60, twice[..., 1::2].shape)
    with pytest.raises(InputError, match="in pairs"):
        check_likeness(Path("ct"), twice)
