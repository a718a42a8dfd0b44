# SPDX-License-Identifier: Apache-2.0
"""Branching tubes: every leaf is reached and tubes thin as they branch."""

import numpy as np

from medvol.data.phantoms.trees import MURRAY, grow_tree


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
