# SPDX-License-Identifier: Apache-2.0
"""Slices form a regular volume, or the cause why not is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import highdicom
import numpy as np
import pytest
from dicom_phantoms import SHIPPED, brightest, broken, refusal, set_on, world
from pydicom.dataset import Dataset

from medvol.errors import InputError
from medvol.images.dicom.geometry import Place, missing_slices, stack_slices
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


def add_phase(series: list[Dataset]) -> None:
    series.extend(phantoms.ct_series(phantoms.stored_values() + 1))


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
        (add_phase, "E_SERIES", "several phases"),
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
        ([2.0, 1.0, 2.0], (2.0, [])),
    ],
    ids=["two-in-one-hole", "of-three-slices", "two-holes", "no-multiple", "regular", "half"],
)
def test_missing_slices(gaps: list[float], expected: tuple[float, list[tuple[int, int]]]) -> None:
    assert missing_slices(np.array(gaps)) == expected


def places(
    heights_mm: list[float],
    *,
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    sideways_mm: dict[int, float] | None = None,
) -> list[Place]:
    """Slices a, b, c, ... at these heights, of pixels 0.5 x 0.75 mm (rows, columns)."""
    return [
        Place(
            Path(f"series/{name}"),
            name,
            np.array([(sideways_mm or {}).get(k, 0.0), 0.0, height]),
            np.array(orientation, np.float64),
            np.array([0.5, 0.75]),
        )
        for k, (name, height) in enumerate(zip("abcdefgh", heights_mm, strict=False))
    ]


@pytest.mark.parametrize(
    ("heights_mm", "reason", "remedy"),
    [
        (
            [0, 2, 4, 8, 10, 14],
            "the slices have holes, 1 missing between c and d (4.00 mm apart) and 1 missing "
            "between e and f (4.00 mm apart); the usual step is 2.00 mm.",
            "Export or copy the series again, whole.",
        ),
        (
            [0, 4, 6, 10, 12, 16, 18, 20],
            "the slices have holes, 1 missing between a and b (4.00 mm apart) and 1 missing "
            "between c and d (4.00 mm apart) and 1 hole more; the usual step is 2.00 mm.",
            "Export or copy the series again, whole.",
        ),
        (
            [0, 2, 4, 6, 6.9, 8.9],
            "the gaps between slices are uneven, from 0.90 to 2.00 mm; the oddest is 0.90 mm "
            "between d and e.",
            "Export a series of one slice distance.",
        ),
        (
            [0, 2, 4.5, 6.5, 8.5, 10.5],
            "the gaps between slices are uneven, from 2.00 to 2.50 mm; the oddest is 2.50 mm "
            "between b and c.",
            "Export a series of one slice distance.",
        ),
        (
            [0, 2, 4, 4],
            "c and d are different images of one place (4 images at 3 places).",
            "Put the slices of one volume into a folder of their own.",
        ),
        (
            [0, 0, 2, 2, 4],
            "a and b are different images of one place (5 images at 3 places).",
            "Put the slices of one volume into a folder of their own.",
        ),
        (
            [0, 0, 2, 2],
            "a and b are different images of one place (4 images at 2 places). The series may hold "
            "several phases or reconstructions.",
            "Put the slices of one volume into a folder of their own.",
        ),
        (
            [3, 3],
            "a and b are different images of one place (2 images at 1 place). The series may hold "
            "several phases or reconstructions.",
            "Put the slices of one volume into a folder of their own.",
        ),
    ],
    ids=[
        "holes",
        "many holes",
        "too near",
        "too far",
        "one twice",
        "two twice",
        "all twice",
        "one height",
    ],
)
def test_what_is_wrong_with_the_heights(heights_mm: list[float], reason: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), places(heights_mm))
    error = caught.value
    assert (error.code, error.path, error.reason, error.remedy) == (
        "E_SERIES", "series", reason, remedy,
    )  # fmt: skip


def test_two_slices_are_a_volume_and_one_is_not() -> None:
    stack = stack_slices(Path("series"), places([2, 0]))
    assert (stack.order, stack.tilt_degrees) == ([1, 0], 0)
    assert spacing_mm(stack.affine) == (0.75, 0.5, 2)
    with pytest.raises(ValueError, match=r"^places has one slice; give two or more$"):
        stack_slices(Path("series"), places([2]))


@pytest.mark.parametrize(
    ("step_mm", "off_mm", "good"),
    [(2.5, 0.09, True), (2.5, 0.11, False), (0.2, 0.03, True), (0.2, 0.05, False)],
    ids=["CT", "CT, too far", "micro-CT", "micro-CT, too far"],
)
def test_how_far_a_slice_may_be_off_its_height(step_mm: float, off_mm: float, good: bool) -> None:
    heights = [k * step_mm for k in range(5)]
    heights[2] += off_mm
    if good:
        assert spacing_mm(stack_slices(Path("series"), places(heights)).affine)[2] == step_mm
    else:
        with pytest.raises(InputError, match="E_SERIES series: the gaps between slices are uneven"):
            stack_slices(Path("series"), places(heights))


@pytest.mark.parametrize(("drift_mm", "tilted"), [(0.09, False), (0.11, True)])
def test_from_when_on_a_gantry_is_tilted(drift_mm: float, tilted: bool) -> None:
    """Over all of five slices of 2 mm together."""
    given = places([0, 2, 4, 6, 8], sideways_mm={k: k * drift_mm / 4 for k in range(5)})
    stack = stack_slices(Path("series"), given)
    angle = float(np.degrees(np.arctan(drift_mm / 8)))
    assert stack.tilt_degrees == (pytest.approx(angle) if tilted else 0)
    assert (shear_cosine(stack.affine) > 0) is tilted
    assert stack.affine[0, 2] == (pytest.approx(-drift_mm / 4) if tilted else 0)


@pytest.mark.parametrize(("off_mm", "good"), [(0.19, True), (0.21, False)])
def test_how_far_a_slice_may_be_off_sideways(off_mm: float, good: bool) -> None:
    given = places([0, 2, 4, 6, 8], sideways_mm={2: off_mm})
    if good:
        assert shear_cosine(stack_slices(Path("series"), given).affine) == 0
        return
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), given)
    assert caught.value.reason == ("c is shifted sideways by 0.21 mm against the other slices.")
    assert caught.value.remedy == "Export a series whose slices lie straight behind each other."


@pytest.mark.parametrize(("gap_mm", "words"), [(0.0045, "of one place"), (0.0055, "uneven")])
def test_from_when_on_two_heights_are_one(gap_mm: float, words: str) -> None:
    """A thousandth of the step, which here is 5 mm."""
    heights = [0, gap_mm, *np.linspace(5, 15, 2).tolist()]
    with pytest.raises(InputError, match=words):
        stack_slices(Path("series"), places(heights))


@pytest.mark.parametrize(
    ("orientation", "good"),
    [
        ((1.009, 0, 0, 0, 0.991, 0), True),
        ((1.011, 0, 0, 0, 1, 0), False),
        ((1, 0, 0, 0, 1.011, 0), False),
        ((1, 0, 0, 0, 0.989, 0), False),
        ((1, 0, 0, 0.009, 1, 0), True),
        ((1, 0, 0, 0.011, 1, 0), False),
    ],
)
def test_how_far_axes_may_be_from_unit_and_perpendicular(
    orientation: tuple[float, ...], good: bool
) -> None:
    given = places([0, 2, 4], orientation=orientation)
    if good:
        affine = stack_slices(Path("series"), given).affine
        np.testing.assert_allclose(np.abs(affine[:3, :3]), np.diag([0.75, 0.5, 2]), atol=1e-12)
        return
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), given)
    assert (caught.value.code, Path(caught.value.path).name) == ("E_GEOMETRY", "a")
    assert caught.value.reason.endswith("] is not a pair of perpendicular unit vectors.")
    assert caught.value.remedy == "Export the series again."


@pytest.mark.parametrize("name", ["position", "orientation", "spacing"])
def test_a_slice_that_does_not_say_where_it_lies(name: str) -> None:
    given = places([0, 2, 4])
    given[1] = replace(given[1], **{name: None})
    keyword = {"position": "ImagePositionPatient", "orientation": "ImageOrientationPatient"}
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), given)
    assert (caught.value.code, Path(caught.value.path).name) == ("E_GEOMETRY", "b")
    assert caught.value.reason == (
        f"the header lacks {keyword.get(name, 'PixelSpacing')}, so its place in the patient is not "
        "known."
    )
    assert caught.value.remedy == "Export the original slices, not a secondary capture."
    given[1] = replace(given[1], **{name: np.full(6, np.nan)})
    with pytest.raises(InputError, match=r"has no numbers in .* known. Export the series again"):
        stack_slices(Path("series"), given)


def test_a_spacing_of_0_is_refused() -> None:
    given = places([0, 2, 4])
    given[2] = replace(given[2], spacing=np.array([0.5, 0.0]))
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), given)
    assert (caught.value.code, Path(caught.value.path).name) == ("E_GEOMETRY", "c")
    assert caught.value.reason == "PixelSpacing is [0.5 0. ], and must be above 0 mm."
    assert caught.value.remedy == "Export the series again."


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        (
            {"spacing": np.array([0.5006, 0.75])},
            "a has pixels of 0.5 x 0.75 mm and b of 0.5006 x 0.75 mm.",
            "Put the slices of one size into a folder of their own.",
        ),
        (
            {"spacing": np.array([0.5, 0.749])},
            "a has pixels of 0.5 x 0.75 mm and b of 0.5 x 0.749 mm.",
            "Put the slices of one size into a folder of their own.",
        ),
        (
            {"orientation": np.array([0, 1.0, 0, 1, 0, 0])},
            "the images of the series lie in 2 directions (2 + 1 images).",
            "Put the slices of one direction into a folder of their own.",
        ),
    ],
)
def test_slices_that_differ(change: dict[str, Any], reason: str, remedy: str) -> None:
    given = places([0, 2, 4])
    given[1] = replace(given[1], **change)
    with pytest.raises(InputError) as caught:
        stack_slices(Path("series"), given)
    assert (caught.value.code, caught.value.reason, caught.value.remedy) == (
        "E_SERIES", reason, remedy,
    )  # fmt: skip
