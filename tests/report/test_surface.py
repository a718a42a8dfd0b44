# SPDX-License-Identifier: Apache-2.0
"""Surfaces: volume kept, places and directions right, thick slices without steps."""

import numpy as np
import pytest

from medvol.report.surface import PAD, Cells, level_of, look_along, smooth_field


def ball(radius_mm: float, spacing: tuple[float, float, float], side_mm: float) -> np.ndarray:
    """A ball in the middle of a box."""
    axes = [(np.arange(round(side_mm / mm)) + 0.5) * mm - side_mm / 2 for mm in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return (x**2 + y**2 + z**2 < radius_mm**2).astype(np.uint8)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0), (0.5, 2.0, 1.0)])
def test_all_of_the_volume_is_in_the_cubes_and_behind_the_surface(spacing) -> None:
    labels = ball(8, spacing, 30)
    volume = float(labels.sum()) * np.prod(spacing)
    field = smooth_field(labels, (1,), Cells(labels.shape, spacing, 1.5))
    assert field.sum() * 1.5**3 == pytest.approx(volume, rel=1e-3)
    assert (field >= level_of(field)).sum() * 1.5**3 == pytest.approx(volume, rel=0.02)


def test_a_single_voxel_is_seen() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[6, 6, 6] = 1
    field = smooth_field(labels, (1,), Cells(labels.shape, (1.0, 1.0, 1.0), 1.0))
    assert field.max() < 0.5  # so that a fixed level of one half would hide it
    seen = look_along(field, level_of(field)).seen
    assert np.argwhere(seen).tolist() == [[6 + PAD, 6 + PAD]]


def test_only_the_values_count_and_any_memory_order_is_the_same() -> None:
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[1:4, 2:5, 3:6], labels[4, 6, 8] = 2, 9
    cells = Cells(labels.shape, (1.0, 1.0, 1.0), 1.0)
    field = smooth_field(labels, (2, 3), cells)
    assert field.sum() == pytest.approx(27, rel=1e-3)
    np.testing.assert_allclose(
        smooth_field(np.asfortranarray(labels), (2, 3), cells), field, atol=1e-6
    )
    turned = smooth_field(labels[::-1], (2, 3), cells)
    np.testing.assert_allclose(turned, field[::-1], atol=1e-6)


def test_depth_and_direction_of_a_ball() -> None:
    labels = ball(10, (1.0, 1.0, 1.0), 30)
    field = smooth_field(labels, (1,), Cells(labels.shape, (1.0, 1.0, 1.0), 1.0))
    surface = look_along(field, level_of(field))
    middle = PAD + 15
    assert surface.depth[middle, middle] == pytest.approx(PAD + 5 - 0.5, abs=0.3)
    front, above, right = (
        surface.normal[:, middle + r, middle + c] for r, c in ((0, 0), (-7, 0), (0, 7))
    )
    np.testing.assert_allclose(front, [1, 0, 0], atol=0.1)
    np.testing.assert_allclose(above, [0.71, -0.7, 0], atol=0.1)  # sin = 7 / 10
    np.testing.assert_allclose(right, [0.71, 0, 0.7], atol=0.1)
    assert np.isnan(surface.depth[~surface.seen]).all()
    assert not surface.normal[:, ~surface.seen].any()


def test_a_wall_that_touches_the_border_is_closed_there() -> None:
    labels = np.ones((20, 20, 20), np.uint8)
    field = smooth_field(labels, (1,), Cells(labels.shape, (1.0, 1.0, 1.0), 1.0))
    surface = look_along(field, level_of(field))
    assert surface.depth[PAD + 10, PAD + 10] == pytest.approx(PAD - 0.5, abs=0.5)
    assert not surface.seen[0].any()


def test_nothing_marked() -> None:
    labels = np.zeros((5, 5, 5), np.uint8)
    field = smooth_field(labels, (1,), Cells(labels.shape, (1.0, 1.0, 1.0), 1.0))
    assert not field.any()
    assert level_of(field) == 1.0
    assert not look_along(field, level_of(field)).seen.any()


def test_the_cube_at_a_place_has_the_voxel_there() -> None:
    cells = Cells((4, 4, 4), (2.0, 2.0, 2.0), 1.0)
    assert cells.nearest(0)[PAD : PAD + 8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert cells.number(0) == 8 + 2 * PAD


def test_step_without_length() -> None:
    with pytest.raises(ValueError, match="step_mm is 0"):
        Cells((4, 4, 4), (1.0, 1.0, 1.0), 0.0)


def test_each_cube_holds_the_products_of_shares_along_the_axes() -> None:
    drawn = np.random.default_rng(1)
    labels = drawn.integers(0, 3, (40, 9, 50)).astype(np.uint8)
    labels[:, :, :20] = 0
    cells = Cells(labels.shape, (1.0, 4.0, 0.7), 0.8)  # more cubes than are computed together
    shares = [cells.shares(axis).astype(np.float64) for axis in range(3)]
    expected = np.einsum("xi,yj,zk,ijk->xyz", *shares, labels == 2, optimize=True)
    assert expected.shape[0] > 40
    np.testing.assert_allclose(smooth_field(labels, (2,), cells), expected, atol=1e-6)
