# SPDX-License-Identifier: Apache-2.0
"""Registering a head: a known shift and turn are found, nonsense is not called good."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from medvol.images.image import Image
from medvol.images.registration import head_overlap, on_grid, register

SHAPE, SPACING_MM = (40, 48, 14), (5.0, 5.0, 6.0)
Points = npt.NDArray[np.float64]


def grid() -> npt.NDArray[np.float64]:
    """Affine of `SHAPE`, LPS, the middle at 0 mm."""
    affine = np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


def inside(points: Points, centre: tuple[float, ...], radii: tuple[float, ...]) -> Points:
    """1 inside an ellipsoid (mm), 0 outside, over 6 mm."""
    distance = np.sqrt((((points - centre) / radii) ** 2).sum(axis=-1))
    return np.clip((1 - distance) * min(radii) / 6 + 0.5, 0, 1)


def head(points: Points, brain: float, fluid: float, skin: float) -> Points:
    """A head without symmetry: skin, brain, two unequal ventricles, a nose."""
    values = skin * inside(points, (0, 0, 0), (68, 88, 60))
    values += (brain - skin) * inside(points, (0, 0, 0), (60, 80, 52))
    for centre, radii in (((18, 10, 5), (9, 30, 14)), ((-16, 14, 8), (7, 18, 12))):
        values += (fluid - brain) * inside(points, centre, radii)
    return np.maximum(values, skin * inside(points, (0, 92, -20), (12, 14, 18)))


def scanned(motion: npt.NDArray[np.float64], *tissue: float) -> Image:
    """The head, moved, as a scan in `grid` shows it."""
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    places = voxels @ grid()[:3, :3].T + grid()[:3, 3]
    before = np.linalg.inv(motion)
    values = head(places @ before[:3, :3].T + before[:3, 3], *tissue)
    return Image(values.astype(np.float32), grid(), Path("scan"))


FLAIR = scanned(np.eye(4), 90, 20, 100)
T1 = (70.0, 25.0, 130.0)


def turned(axis: int, degrees: float, shift_mm: tuple[float, ...]) -> npt.NDArray[np.float64]:
    motion = np.eye(4)
    one, two = [k for k in range(3) if k != axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    motion[[one, one, two, two], [one, two, one, two]] = cosine, -sine, sine, cosine
    motion[:3, 3] = shift_mm
    return motion


@pytest.mark.parametrize(
    ("axis", "degrees", "shift_mm"),
    [(2, 12.0, (14.0, -8.0, 3.0)), (0, 7.0, (-4.0, 3.0, 12.0)), (1, 0.0, (0.0, 20.0, 0.0))],
    ids=["turned in the plane", "nodded", "shifted"],
)
def test_a_known_shift_and_turn_are_found(
    axis: int, degrees: float, shift_mm: tuple[float, ...]
) -> None:
    motion = turned(axis, degrees, shift_mm)
    found = register(scanned(motion, *T1), FLAIR)
    assert found.turn_degrees == pytest.approx(degrees, abs=1)
    assert found.shift_mm == pytest.approx(float(np.linalg.norm(shift_mm)), abs=1.5)
    corners = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-80, 80) for z in (-30, 30)])
    off_mm = np.linalg.norm((corners @ (found.motion @ motion).T - corners)[:, :3], axis=1)
    middle_mm = np.linalg.norm((found.motion @ motion)[:3, 3])
    assert middle_mm < 1
    assert off_mm.max() < 2  # 100 mm from the middle, where a degree is 1.7 mm
    assert found.good


def test_the_same_images_give_the_same_result() -> None:
    moved = scanned(turned(2, 5.0, (6.0, 0.0, 0.0)), *T1)
    first, second = register(moved, FLAIR), register(moved, FLAIR)
    assert np.array_equal(first.array, second.array)
    assert np.array_equal(first.motion, second.motion)


def test_what_is_not_a_head_is_not_good() -> None:
    noise = np.random.default_rng(0).random(SHAPE, np.float32)
    found = register(Image(noise, grid(), Path("noise")), FLAIR)
    assert not found.good
    assert found.shared < 0.35


def test_images_that_lose_each_other_are_not_good() -> None:
    line = np.zeros(SHAPE, np.float32)
    line[:2, :2] = 1
    far = grid()
    far[:3, 3] += 1e6
    found = register(Image(line, far, Path("far")), FLAIR)
    assert not found.good


def test_overlap_of_heads_by_hand() -> None:
    """Boxes of 8 x 9 pixels, the second moved by 2 of 8 columns and with a hole."""
    a, b = np.zeros((2, 30, 30, 2))
    a[5:13, 5:14], b[7:15, 5:14] = 1, 1
    b[10, 9] = 0
    assert head_overlap(a, b) == pytest.approx(6 / 8)
    assert head_overlap(a, a) == 1.0
    assert head_overlap(a * 0, b * 0) == 0.0


def test_on_another_grid_by_hand() -> None:
    """Values 0, 1, 2, 3 along 2 mm steps, asked for at 1 mm steps from 1 mm on."""
    line = np.tile(np.arange(4, dtype=np.float32)[:, None, None], (1, 2, 2))
    image = Image(line, np.diag([2.0, 1, 1, 1]), Path("line"))
    finer = np.diag([1.0, 1, 1, 1])
    finer[0, 3] = 1
    values = on_grid(image, (6, 2, 2), finer)[:, 0, 0]
    assert values.tolist() == [0.5, 1, 1.5, 2, 2.5, 3]
    finer[0, 3] = 2.5  # 6.5 mm is a quarter of a voxel behind the last one
    assert on_grid(image, (6, 2, 2), finer)[3:, 0, 0].tolist() == [2.75, 0, 0]
    assert on_grid(image, (6, 2, 2), finer, fading=True)[3:, 0, 0].tolist() == [2.75, 2.25, 0.75]
