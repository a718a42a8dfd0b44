# SPDX-License-Identifier: Apache-2.0
"""Soft-edged shapes on a voxel grid; tubes that reach every leaf and thin as they branch."""

import numpy as np
import pytest

from medvol.data.phantoms.drawing import (
    MURRAY,
    Canvas,
    grow_tree,
    lattice_noise,
    smooth_intersection,
    smooth_union,
)

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 0, 3.0, -30], [0, 2.0, 0, -30], [0, 0, 0, 1.0]])


def blank() -> Canvas:
    return Canvas.blank((31, 31, 21), AFFINE, 2.0, 0.0)


def test_voxels_know_their_place():
    canvas = blank()
    assert [float(axis[1, 2, 3]) for axis in canvas.xyz] == [28.0, -21.0, -26.0]


@pytest.mark.parametrize("shape", ["ellipsoid", "tube"])
def test_painted_volume_is_that_of_the_formula(shape):
    canvas = blank()
    if shape == "ellipsoid":
        distance, box = canvas.ellipsoid((2, -1, 3), (15, 12, 18))
        expected = 4 / 3 * np.pi * 15 * 12 * 18
    else:
        distance, box = canvas.tube((0, 0, -12), (0, 0, 12), (9, 9))
        expected = np.pi * 9**2 * 24 + 4 / 3 * np.pi * 9**3
    canvas.paint(distance, 100.0, box)
    assert canvas.ct.sum() / 100 * 12 == pytest.approx(expected, rel=0.03)  # a voxel is 12 mm^3


def test_share_fills_thin_shapes_in_part():
    canvas = blank()
    canvas.paint(np.full(canvas.ct.shape, -9.0, np.float32), 40.0, share=0.25)
    assert (canvas.ct == 10.0).all()


def test_a_box_outside_the_grid_is_empty():
    canvas = blank()
    assert canvas.ct[canvas.box((200, 200, 200), (300, 300, 300))].size == 0


def test_smooth_seam_is_wider_than_the_union_and_far_away_the_same():
    near, far = np.float32([0.0]), np.float32([50.0])
    assert smooth_union(near, near, 8).tolist() == [-2.0]  # 8^2 / (4 * 8)
    assert smooth_union(near, far, 8).tolist() == [0.0]
    assert smooth_intersection(near, near, 8).tolist() == [2.0]


def test_noise_belongs_to_the_place():
    canvas = blank()
    whole = lattice_noise(canvas.xyz, 7, np.random.default_rng(3))
    part = lattice_noise([a[4:9, 5:, ::2] for a in canvas.xyz], 7, np.random.default_rng(3))
    assert np.allclose(whole[4:9, 5:, ::2], part)
    assert 0.1 < whole.std() < 0.6
    assert np.abs(whole).max() <= 1


def test_tree_reaches_every_leaf_and_thins_by_murrays_law():
    rng = np.random.default_rng(0)
    leaves = rng.uniform(-50, 50, (32, 3))
    tree = grow_tree(np.zeros(3), leaves, 0.5, rng)
    ends = np.array([segment.end for segment in tree])
    assert np.abs(ends[:, None] - leaves).max(axis=2).min(axis=0).max() < 1e-9
    assert len(tree) == 2 * (2 * 32 - 1)  # two tubes for each node of a binary tree
    assert tree[0].radii_mm[0] == 0.5 * 32 ** (1 / MURRAY)
    assert min(segment.radii_mm[1] for segment in tree) == 0.5
    assert all(segment.radii_mm[0] >= segment.radii_mm[1] for segment in tree)


def test_one_leaf_is_one_bent_branch():
    tree = grow_tree(np.zeros(3), np.array([[10.0, 0, 0]]), 1.0, np.random.default_rng(0))
    assert len(tree) == 2
    assert tree[1].end.tolist() == [10.0, 0, 0]
