# SPDX-License-Identifier: Apache-2.0
"""Rules of nnU-Net, by numbers worked out by hand; each threshold from both sides."""

import numpy as np
import pytest

from medvol.data.proposals import (
    batch_size,
    fitting_spacing,
    patch_size,
    picture_batch,
    picture_side,
    repeats,
    target_spacing,
    window_hu,
)


def spacing_of(*along_s: float, slices: int = 40) -> tuple[float, ...]:
    spacings = np.array([[0.8, 0.7, mm] for mm in along_s])
    return target_spacing(spacings, np.array([[400.0, 420.0, slices]] * len(spacings)))[0]


def test_the_median_is_the_spacing_unless_an_axis_is_coarse() -> None:
    assert spacing_of(1.0, 1.5, 2.0) == (0.8, 0.7, 1.5)
    assert spacing_of(2.4, 2.4, 2.4) == (0.8, 0.7, 2.4)  # three times the next: not yet coarse
    # 2.5 > 3 * 0.8, and 40 * 3 < 400: a tenth of (1, 2.5, 4) is 1 + 0.2 * 1.5 = 1.3
    assert spacing_of(1.0, 2.5, 4.0) == (0.8, 0.7, 1.3)
    assert spacing_of(1.0, 2.5, 4.0, slices=140) == (0.8, 0.7, 2.5)  # 140 * 3 is not below 400
    assert spacing_of(0.5, 2.5, 4.0) == (0.8, 0.7, 0.9)  # 0.5 + 0.2 * 2 = 0.9
    assert spacing_of(0.1, 2.5, 2.5) == (0.8, 0.7, 0.8)  # 0.58 would be finer than the others


def test_a_spacing_is_coarsened_until_the_data_fit() -> None:
    sides = np.array([[100.0, 100.0, 100.0], [100.0, 100.0, 50.0]])  # 1.5e6 mm^3
    assert fitting_spacing((1, 1, 1), sides, most_voxels=1.5e6) == (1, 1, 1)
    assert fitting_spacing((1, 1, 1), sides, most_voxels=1.49e6) == (1.03, 1.03, 1.03)
    # only the fine axes, as long as they are less than half of the coarse one
    assert fitting_spacing((1, 1, 3), sides, most_voxels=4.9e5) == (1.03, 1.03, 3)
    assert fitting_spacing((1.6, 1.6, 3), sides, most_voxels=1.9e5) == (1.65, 1.65, 3.09)


def test_a_window_keeps_the_labels_and_the_body() -> None:
    values = np.linspace(-800, 50, 1001, dtype=np.float32)
    assert window_hu(values) == (-1000, 100)
    dense = np.linspace(-1200, 400, 1601, dtype=np.float32)  # cut: -1192 and 392
    assert window_hu(dense) == (-1200, 400)


def test_a_patch_has_the_form_of_the_image_and_fits() -> None:
    """48 x 32 x 32 of a median image of 64 x 48 x 32: the axis that covers most is cut first."""
    whole = patch_size((64, 48, 32), (1, 1, 1), multiple=(16, 16, 16), most_voxels=64 * 48 * 32)
    assert whole == (64, 48, 32)
    # all axes are covered whole; R is the first: 48 x 48 x 32, then A and S are: 48 x 32 x 32
    less = patch_size((64, 48, 32), (1, 1, 1), multiple=(16, 16, 16), most_voxels=50_000)
    assert less == (48, 32, 32)
    assert patch_size((5, 5, 5), (1, 1, 1), multiple=(8, 8, 2), most_voxels=1) == (8, 8, 2)
    assert patch_size((900, 30), (1, 1), multiple=(8, 8), most_voxels=1e9) == (256, 32)


@pytest.mark.parametrize(
    ("memory", "data", "batch", "why"),
    [
        (16_000, 1e9, 8, "as in the bundle"),
        (7_999, 1e9, 7, "memory"),
        (16_000, 1e5, 5, "5% of all voxels"),
        (16_000, 1e3, 2, "the least"),
        (500, 1e9, 2, "the least"),
    ],
)
def test_a_batch_is_bounded_by_memory_data_and_bundle(
    memory: float, data: float, batch: int, why: str
) -> None:
    found, reason = batch_size((10, 10, 10), most_voxels=memory, data_voxels=data, most=8)
    assert found == batch
    assert why in reason


def test_an_epoch_has_about_a_hundred_steps() -> None:
    assert [repeats(n, 2) for n in (1, 8, 150, 5000)] == [200, 25, 1, 1]


def test_pictures() -> None:
    shapes = np.array([[300.0, 200.0], [250.0, 400.0], [180.0, 190.0]])  # shorter: 200, 250, 180
    assert picture_side(shapes, most=224) == 192
    assert picture_side(shapes, most=160) == 160
    assert picture_side(shapes / 20, most=224) == 32
    assert picture_batch(1000, by_memory=99, own=32) == (32, "as in the bundle")
    assert picture_batch(1000, by_memory=20, own=32) == (20, "as many as the memory takes")
    assert picture_batch(80, by_memory=99, own=32) == (10, "so that an epoch has 8 steps")
    assert picture_batch(7, by_memory=99, own=32) == (2, "the least")
