# SPDX-License-Identifier: Apache-2.0
"""Branching tubes that fill a lung: vessels and airways of the phantom."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
MURRAY = 2.7  # r_parent^k = sum r_child^k; 3 by Murray, 2.7 is measured in lungs
BRANCH_AT = 0.45  # of the way from a branching to the middle of what it supplies


class Segment(NamedTuple):
    """A tapered tube from `start` to `end`, (x, y, z) in mm."""

    start: Points
    end: Points
    radii_mm: tuple[float, float]


def grow_tree(
    root: Points, leaves: Points, leaf_radius_mm: float, rng: np.random.Generator
) -> list[Segment]:
    """A tree from `root` that reaches every leaf, by splitting the leaves in halves.

    Each branching halves its leaves across their longest direction and sends one branch towards
    the middle of each half; radii follow Murray's law, so a tube thins as it supplies less.

    Args:
        root: (3,) where the tree enters.
        leaves: (N, 3) points to supply, N >= 1.
        leaf_radius_mm: radius of the last twigs.
        rng: for the bends.
    """
    segments: list[Segment] = []
    pending: list[tuple[Points, Points, float]] = [(root, leaves, _radius(len(leaves), 1.0))]
    while pending:
        start, supplied, before = pending.pop()
        middle = supplied.mean(axis=0)
        share = 1.0 if len(supplied) == 1 else BRANCH_AT
        end = start + share * (middle - start)
        bend = (start + end) / 2 + rng.normal(0, 0.07 * np.linalg.norm(end - start), 3)
        after = _radius(len(supplied), 1.0)
        half = (before + after) / 2
        segments.append(Segment(start, bend, (before * leaf_radius_mm, half * leaf_radius_mm)))
        segments.append(Segment(bend, end, (half * leaf_radius_mm, after * leaf_radius_mm)))
        if len(supplied) > 1:
            across = np.linalg.eigh(np.cov(supplied.T))[1][:, -1]
            order = np.argsort((supplied - middle) @ across)
            cut = len(order) // 2
            pending += [(end, supplied[order[:cut]], after), (end, supplied[order[cut:]], after)]
    return segments


def _radius(leaves: int, leaf_radius: float) -> float:
    return float(leaf_radius * leaves ** (1 / MURRAY))
