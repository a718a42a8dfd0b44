# SPDX-License-Identifier: Apache-2.0
"""Holes filled by connected-components-3d, as MONAI fills them.

`fill_voids` and scipy's `binary_fill_holes` let what is not marked be joined over faces only; MONAI
also over edges and corners, so that their holes are not its holes.
"""

from collections.abc import Sequence
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import FillHolesd
from torch import Tensor

from ...spatial import box_of
from .components import NEIGHBOURS, OfParts
from .rule import Equal


def filled_holes(steps: Sequence[Any]) -> Equal | None:
    """The rule for `FillHolesd`."""
    if type(steps[0]) is not FillHolesd:
        return None
    return Equal(1, FilledHolesd(steps[0]), "connected-components-3d, in the box of each label")


class FilledHolesd(OfParts):
    """Equal to `FillHolesd`: what a label encloses becomes that label."""

    def _changed(self, given: Tensor) -> Tensor:
        values = given.cpu().numpy().copy()
        for label in self._labels(values):
            self._fill(values, label)
        return torch.from_numpy(values).to(given.device)

    def _labels(self, values: npt.NDArray[Any]) -> set[Any]:
        """Labels, or channels, of (C, *spatial), in the order in which MONAI takes them."""
        if self.stock.applied_labels is not None:
            found = set(self.stock.applied_labels)
        elif len(values) > 1:
            found = {at for at, channel in enumerate(values) if channel.sum() > 0}
        else:
            found = set(np.unique(values).tolist())
        return found - {0}

    def _fill(self, values: npt.NDArray[Any], label: Any) -> None:
        """Fill the holes of one label in (C, *spatial), in place."""
        one_hot = len(values) > 1
        channel = values[label] if one_hot else values[0]
        mask = channel != 0 if one_hot else channel == label
        if one_hot:
            channel[...] = mask
        box = box_of(mask)
        if box is None:
            return
        beside = [slice(max(0, line.start - 1), line.stop + 1) for line in box]
        open_ = np.ascontiguousarray(~mask[tuple(beside)])
        neighbours = NEIGHBOURS[mask.ndim][self.stock.connectivity or mask.ndim]
        parts, count = cc3d.connected_components(open_, connectivity=neighbours, return_N=True)
        hole = np.ones(count + 1, bool)
        hole[0] = False
        for axis in range(mask.ndim):
            for end in (0, -1):
                hole[np.unique(parts.take(end, axis=axis))] = False
        if hole.any():
            channel[tuple(beside)][hole[parts]] = 1 if one_hot else label
