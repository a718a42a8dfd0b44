# SPDX-License-Identifier: Apache-2.0
"""`Orientationd` without a copy: the volume is read in another order of its axes later on."""

from collections.abc import Hashable

import numpy as np
from monai.transforms import Orientationd

from .grid import Item, Known, Pending


def turned(step: Orientationd) -> Known:
    """`Orientationd` on a pending volume."""

    def act(pending: Pending, data: Item, key: Hashable) -> Pending | None:
        before = np.asarray(pending.image.affine, np.float64)
        image = dict(step({**data, key: pending.image}))[key]
        xform = np.linalg.solve(before, np.asarray(image.affine, np.float64))[:-1, :-1].round()
        if (
            not np.array_equal(np.abs(xform).sum(0), [1, 1, 1])
            or (xform @ xform.T != np.eye(3)).any()
        ):
            return None
        order = [int(axis) for axis in np.abs(xform).argmax(axis=0)]
        flips = [bool(xform[axis, j] < 0) for j, axis in enumerate(order)]
        return pending.turned(image, order, flips)

    return Known(act, moves=True)
