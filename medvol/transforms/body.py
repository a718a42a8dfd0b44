# SPDX-License-Identifier: Apache-2.0
"""Where chest, lungs and body lie in a CT: what to crop to, and where scores can be true."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from torch import Tensor

from ..lungs import BODY_ABOVE_HU
from .intensity import LUNG_WINDOW_HU
from .keys import ItemTransform, plain

AIR_BELOW_HU = -400.0  # aerated lung and ground-glass lie below, soft tissue above
SMALLEST_LUNG_SHARE = 0.002  # of the volume; smaller pockets of air are bowel or noise

Mask = npt.NDArray[np.bool_]


def lung_mask(volume_hu: npt.NDArray[Any]) -> Mask:
    """Air enclosed by the body: lungs, airways, and bowel gas where the scan shows it.

    Voxels below `AIR_BELOW_HU`, in 6-connected components that are not tiny and do not touch an x
    or y border of the volume, as the air around the patient, table and blankets do. A lung that a
    narrow field of view cuts is left out with them. Consolidated lung is dense and not part of it:
    crop with a margin.

    Args:
        volume_hu: (X, Y, Z) in HU, z along the patient.

    Returns:
        (X, Y, Z) bool; all False when no lung is found.
    """
    components, count = cc3d.connected_components(
        volume_hu < AIR_BELOW_HU, connectivity=6, return_N=True
    )
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    keep = sizes >= SMALLEST_LUNG_SHARE * volume_hu.size
    keep[0] = False
    for border in (components[[0, -1]], components[:, [0, -1]]):
        keep[np.unique(border)] = False
    return keep[components]


def body_mask(volume_hu: npt.NDArray[Any]) -> Mask:
    """The patient without table: largest 6-connected component above `BODY_ABOVE_HU`.

    Args:
        volume_hu: (X, Y, Z) in HU.

    Returns:
        (X, Y, Z) bool, lungs not filled; all False when nothing is that dense.
    """
    dense = volume_hu > BODY_ABOVE_HU
    if not dense.any():
        return dense
    largest: Mask = cc3d.largest_k(dense, k=1, connectivity=6) > 0
    return largest


def chest_mask(volume_hu: npt.NDArray[Any]) -> Mask:
    """The slices that show lung, as wide and deep as the body is in the whole scan.

    A lung without any air, or one that the field of view cuts, is not seen by `lung_mask`, but it
    lies in the body, at about the height of the other one.

    Args:
        volume_hu: (X, Y, Z) in HU, z along the patient.

    Returns:
        (X, Y, Z) bool, a box; all slices when no lung is found, all False when no body is.
    """
    body, lungs = body_mask(volume_hu), lung_mask(volume_hu)
    box = np.zeros_like(body)
    if body.any():
        x, y = (_extent(body.any(axis=axes)) for axes in ((1, 2), (0, 2)))
        box[x, y, _extent(lungs.any(axis=(0, 1))) if lungs.any() else slice(None)] = True
    return box


def inside_body(volume_hu: npt.NDArray[Any]) -> Mask:
    """The patient with everything in it: in each axial slice, what lies between parts of the body.

    A voxel is inside when the body lies on both sides of it along x, or along y. So a lung that
    the field of view cuts is inside too, which the holes of the body would not give.

    Args:
        volume_hu: (X, Y, Z) in HU, z along the patient.

    Returns:
        (X, Y, Z) bool; all True when no body is found.
    """
    body = body_mask(volume_hu)
    return _between(body, 0) | _between(body, 1) if body.any() else np.ones_like(body)


class Foreground:
    """A `select_fn` for MONAI's `CropForegroundd`: True where `find` sees chest, lung or body.

    Args:
        find: "chest", "lungs" or "body". When nothing is found, everything is selected, so that
            the crop keeps the whole volume.

    Raises:
        ValueError: another word.
    """

    def __init__(self, find: str) -> None:
        masks = {"chest": chest_mask, "lungs": lung_mask, "body": body_mask}
        if find not in masks:
            raise ValueError(f"find is {find!r}; give one of {', '.join(masks)}")
        self.mask = masks[find]

    def __call__(self, volume_hu: Tensor) -> Tensor:
        """(1, X, Y, Z) HU to (1, X, Y, Z) bool."""
        mask = self.mask(np.asarray(plain(volume_hu)[0].cpu()))
        return torch.from_numpy(mask if mask.any() else np.ones_like(mask))[None]


class KeepInsideBodyd(ItemTransform):
    """Outside the patient, make class 0 (background) certain: table and foam can look like lung.

    Args:
        keys: items with class probabilities (C, X, Y, Z).
        image_key: the network's input on the same grid, (1, X, Y, Z) in [0, 1].
        window_hu: (low, high) in HU that the chain scaled to 0 and 1.

    Attributes:
        in_place: probabilities are changed themselves, in place of a copy.
    """

    in_place = False

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        window_hu: Sequence[float] = LUNG_WINDOW_HU,
    ) -> None:
        super().__init__(keys)
        self.image_key = image_key
        self.low, self.high = window_hu

    def change(self, item: Tensor, _key: Hashable, data: Mapping[Hashable, Any], /) -> Tensor:
        if not item[1:].any() and bool((item[0] == 1).all()):
            return item  # background is certain already, as where a gate lets nothing pass
        image = np.asarray(plain(data[self.image_key])[0].cpu())
        outside = torch.from_numpy(~inside_body(image * (self.high - self.low) + self.low))
        return surely(item, outside, in_place=self.in_place)


def surely(scores: Tensor, background: Tensor, *, in_place: bool = False) -> Tensor:
    """Class probabilities with background, class 0, certain somewhere.

    Args:
        scores: (C, *spatial).
        background: (*spatial,) bool, where it is.
        in_place: change the scores themselves, in place of a copy.

    Example:
        >>> surely(torch.tensor([[0.5, 0.2], [0.5, 0.8]]), torch.tensor([True, False])).tolist()
        [[1.0, 0.20000000298023224], [0.0, 0.800000011920929]]
    """
    made, where = scores if in_place else scores.clone(), background.to(scores.device)
    for value, score in enumerate(made):
        score.masked_fill_(where, value == 0)
    return made


def _extent(line: npt.ArrayLike) -> slice:
    """From the first True to the last."""
    places = np.flatnonzero(line)
    return slice(int(places[0]), int(places[-1]) + 1)


def _between(body: Mask, axis: int) -> Mask:
    before = np.logical_or.accumulate(body, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(body, axis), axis=axis), axis)
    inside: Mask = before & after
    return inside
