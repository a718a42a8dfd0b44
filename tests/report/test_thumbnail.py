# SPDX-License-Identifier: Apache-2.0
"""Small pictures show the slice with most lesion, right side up, coloured as labels are."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from medvol.images.image import Image
from medvol.labels import Label, LabelTable
from medvol.report.thumbnail import SIDE, Marks, small_radiograph, small_slice

TABLE = LabelTable((Label(1, "lesion", (255, 0, 0)), Label(2, "lung", (0, 255, 0))))
WINDOW = (-1000.0, 0.0)


def opened(jpeg: bytes) -> np.ndarray:
    with Picture.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture.convert("RGB"), np.float32)


def volume(spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Image:
    """All bright body, RAS, but for black slice 2; the front right corner is black elsewhere."""
    array = np.zeros((20, 20, 6), np.float32)
    array[:, :, 2] = -1000
    array[12:, 12:, :] = -1000
    return Image(array, np.diag([*spacing_mm, 1.0]), Path("x.nii"))


def test_the_slice_with_most_lesion_in_colour() -> None:
    mask = np.zeros((20, 20, 6), np.uint8)
    mask[2:6, 2:6, 4] = 1  # left and back
    mask[2:4, 2:4, 2] = 1
    mask[:, :, 2][mask[:, :, 2] == 0] = 2  # much of what is not looked for
    seen = opened(small_slice(volume(), WINDOW, marks=Marks(mask, TABLE, (1,))))
    assert seen.shape == (SIDE, SIDE, 3)
    quarter = SIDE // 4
    red, green, blue = seen[-quarter:-24, -quarter:-24].mean(axis=(0, 1))  # lower right of the page
    assert red > 240
    assert max(green, blue) < 120
    assert seen[8:quarter, 8:quarter].mean() < 15  # right and front
    assert seen[8:quarter, -quarter:-8].mean() > 240


def test_without_marks_the_likeliest_slice_or_the_middle() -> None:
    likely = np.float32([0.1, 0.2, 0.9, 0.3, 0.1, 0.1])
    assert opened(small_slice(volume(), WINDOW, likely=likely)).mean() < 5
    middle = np.float32([0, 0, 0, 0, 0, 0])
    assert opened(small_slice(volume(), WINDOW, likely=middle)).mean() > 150


@pytest.mark.parametrize(
    ("spacing_mm", "size"), [((2, 1, 5), (SIDE // 2, SIDE)), ((1, 4, 5), (SIDE, SIDE // 4))]
)
def test_it_has_the_shape_of_the_body(
    spacing_mm: tuple[float, float, float], size: tuple[int, int]
) -> None:
    assert opened(small_slice(volume(spacing_mm), WINDOW)).shape[:2] == size


def test_radiograph_alone_and_under_its_map() -> None:
    pixels = np.full((40, 80), 0.5, np.float32)
    plain = opened(small_radiograph(pixels))
    assert plain.shape == (SIDE // 2, SIDE, 3)
    assert np.ptp(plain) < 4
    heat = np.zeros((40, 80), np.float32)
    heat[:, 40:] = 0.2
    seen = opened(small_radiograph(pixels, heat))
    assert np.ptp(seen[:, : SIDE // 2 - 16]) < 8
    assert seen[:, -40:, 0].mean() > 200  # the strongest place is bright however weak it is
    assert np.ptp(opened(small_radiograph(pixels, np.zeros_like(heat)))) < 4
