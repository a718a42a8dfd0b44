# SPDX-License-Identifier: Apache-2.0
"""Slices form a regular volume, or the cause why not is named."""

from collections.abc import Callable
from pathlib import Path

import dicom_phantoms as phantoms
import highdicom
import numpy as np
import pytest
from dicom_phantoms import SHIPPED, brightest, broken, refusal, set_on, world
from pydicom.dataset import Dataset

from medvol.images.dicom.geometry import missing_slices
from medvol.images.dicom.volume import load_dicom
from medvol.spatial import shear_cosine, spacing_mm


def test_oblique_slices_keep_their_direction(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(orientation=phantoms.SLANTED))

    image = load_dicom(tmp_path)

    # LPS: x = -20 + 3*0.75*0.8 + 5*0.5*-0.36 + 2*2.5*0.48 = -16.7
    #      y = -30 + 3*0.75*0.6 + 5*0.5*0.48 + 2*2.5*-0.64 = -30.65
    #      z = 100 + 0 + 5*0.5*0.8 + 2*2.5*0.6 = 105
    assert world(image, brightest(image)) == [16.7, 30.65, 105.0]
    assert shear_cosine(image.affine) < 1e-6


def test_jitter_and_rounded_positions_pass(tmp_path: Path) -> None:
    series = phantoms.ct_series(step=(0, 0, 0.625))
    for k, one in enumerate(series):
        one.ImagePositionPatient[2] = round(one.ImagePositionPatient[2], 1)
        one.PixelSpacing = [0.5 + 1e-4 * (k % 2), 0.75]
        one.ImageOrientationPatient = [1, 1e-4 * (k % 2), 0, -1e-4 * (k % 2), 1, 0]
    phantoms.write(tmp_path, series)

    image = load_dicom(tmp_path)

    assert spacing_mm(image.affine)[2] == pytest.approx(0.625, abs=0.02)
    assert brightest(image) == (3, 5, 2)


def test_a_tilted_gantry_keeps_its_sheared_grid(tmp_path: Path) -> None:
    phantoms.write(tmp_path, phantoms.ct_series(step=(0, 0.5, 2.5)))

    image = load_dicom(tmp_path)

    assert [note.code for note in image.notes] == ["N_SHEAR_RESAMPLED"]
    assert "11.3 degrees" in image.notes[0].text  # atan(0.5 / 2.5)
    # LPS y = -30 + 5 * 0.5 + 2 * 0.5 = -26.5
    assert world(image, brightest(image)) == [17.75, 26.5, 105.0]


def test_a_tilt_of_two_degrees_is_not_straightened(tmp_path: Path) -> None:
    series = phantoms.ct_series(step=(0, 0.09, 2.5), FrameOfReferenceUID="1.2.3")
    phantoms.write(tmp_path, series)

    image = load_dicom(tmp_path)

    assert "2.1 degrees" in image.notes[0].text
    assert world(image, (0, 0, 7)) == [20.0, 29.37, 117.5]  # y = -(-30 + 7 * 0.09)
    straightened = highdicom.get_volume_from_series(series)  # why medvol judges by itself
    assert straightened.direction[1, 0] == 0


def shrink(series: list[Dataset]) -> None:
    series[3].Rows, series[3].PixelData = 8, series[3].PixelData[:256]


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        (lambda s: s.pop(3), "E_SERIES", "1 missing between IM002.dcm and IM003.dcm (5.00 mm"),
        (set_on(7, ImagePositionPatient=[-20, -30, 118.5]), "E_SERIES", "from 2.50 to 3.50 mm"),
        (set_on(3, ImagePositionPatient=[-20, -30, 105]), "E_SERIES", "8 images at 7 places"),
        (set_on(3, ImagePositionPatient=[-18, -30, 107.5]), "E_SERIES", "IM003.dcm is shifted"),
        (set_on(3, ImageOrientationPatient=[0, 1, 0, 0, 0, 1]), "E_SERIES", "2 directions (7 + 1"),
        (set_on(3, PixelSpacing=[0.6, 0.75]), "E_SERIES", "IM003.dcm of 0.6 x 0.75 mm"),
        (shrink, "E_SERIES", "IM000.dcm has 16 x 16 pixels and IM003.dcm 16 x 8"),
        (lambda s: s.extend(phantoms.ct_series()), "E_SERIES", "several phases"),
        (lambda s: s.__delitem__(np.s_[1:]), "E_DIMS", "one slice"),
        (set_on(0, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "E_SERIES", "2 directions"),
    ],
    ids=[
        "hole",
        "uneven",
        "two-at-one-place",
        "sideways",
        "direction",
        "pixel-spacing",
        "rows",
        "two-phases",
        "single",
        "one-turned",
    ],
)
def test_slices_that_are_no_volume_are_refused_with_the_cause(
    tmp_path: Path, what: Callable[[list[Dataset]], object], code: str, words: str
) -> None:
    phantoms.write(tmp_path, broken(phantoms.ct_series(), what))

    error = refusal(tmp_path)

    assert (error.code, error.path) == (code, str(tmp_path))
    assert words in error.reason


def test_axes_that_are_not_perpendicular_are_refused(tmp_path: Path) -> None:
    phantoms.write(
        tmp_path, phantoms.ct_series(orientation=(1, 0, 0, 0.6, 0.8, 0), step=(0, 0, 2.5))
    )

    error = refusal(tmp_path)

    assert (error.code, Path(error.path).name) == ("E_GEOMETRY", "IM000.dcm")
    assert "perpendicular" in error.reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("77654033/CT2", "161 missing between 17106 and 17136 (202.50 mm apart)"),
        ("98892003/MR700", "7 directions"),
    ],
    ids=["hole-of-202-mm", "turning-oblique"],
)
def test_odd_series_shipped_with_pydicom(name: str, words: str) -> None:
    error = refusal(SHIPPED / name)

    assert error.code == "E_SERIES"
    assert words in error.reason


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([2.5, 2.5, 7.5, 2.5], (2.5, [(2, 2)])),
        ([2.0, 4.0], (2.0, [(1, 1)])),
        ([1.0, 1.0, 2.1, 1.0, 3.0], (1.0, [(2, 1), (4, 2)])),
        ([1.0, 1.5, 1.0], (1.0, [])),
        ([1.0, 1.0], (1.0, [])),
    ],
    ids=["two-in-one-hole", "of-three-slices", "two-holes", "no-multiple", "regular"],
)
def test_missing_slices(gaps: list[float], expected: tuple[float, list[tuple[int, int]]]) -> None:
    assert missing_slices(np.array(gaps)) == expected
