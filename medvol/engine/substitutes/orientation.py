# SPDX-License-Identifier: Apache-2.0
"""`Orientationd` without a copy: the volume is read in another order of its axes later on."""

from collections.abc import Hashable, Mapping

import numpy as np
from monai.data import MetaTensor
from monai.transforms import Orientationd

from .grid import Item, Known, Pending


def turned(step: Orientationd) -> Known:
    """`Orientationd` on a pending volume."""

    def act(pending: Mapping[Hashable, Pending], data: Item) -> Mapping[Hashable, Pending] | None:
        images = {key: one.image for key, one in pending.items()}
        made = dict(step({**data, **images}))
        moves = {key: _move(images[key], made[key]) for key in pending}
        if not all(moves.values()):
            return None
        return {key: pending[key].turned(made[key], *move) for key, move in moves.items() if move}

    return Known(act, moves=True)


def _move(image: MetaTensor, turned: MetaTensor) -> tuple[list[int], list[bool]] | None:
    """Which axis each of the new ones was, and whether it runs backwards; None where none was."""
    before, after = (np.asarray(one.affine, np.float64) for one in (image, turned))
    xform = np.linalg.solve(before, after)[:-1, :-1].round()
    turns = np.array_equal(np.abs(xform).sum(0), [1, 1, 1])
    if not turns or (xform @ xform.T != np.eye(3)).any():
        return None
    order = [int(axis) for axis in np.abs(xform).argmax(axis=0)]
    return order, [bool(xform[axis, j] < 0) for j, axis in enumerate(order)]
