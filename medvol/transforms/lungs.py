# SPDX-License-Identifier: Apache-2.0
"""Lungs as network and HU agree on them: where lesions of the lung can lie."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform

from ..errors import Note
from ..lungs import BODY_ABOVE_HU, SMALLEST_SHARE
from ..slices import runs
from ..spatial import voxel_volume_ml
from .body import AIR_BELOW_HU, surely
from .decide import best_of
from .intensity import LUNG_WINDOW_HU
from .keys import noted, placed, plain

GAS_BELOW_HU = -950.0  # emphysema is counted below it (Gevenois et al. 1995, doi
# 10.1164/ajrccm.152.2.7633722)
GAS_SHARE = 0.25  # that lies below: of the lungs of 20 CTs 0 to 3 %, of their bowels 26 to 88 %
NOTED_FROM_ML = 0.1  # less is a voxel or two at a border

Mask = npt.NDArray[np.bool_]
Parts = npt.NDArray[np.integer[Any]]


def two_lungs(marked: Mask, volume_hu: npt.NDArray[Any]) -> tuple[Mask, Mask]:
    """The lung on each side: its largest part that a network marks and that holds air.

    Parts are 6-connected and below `AIR_BELOW_HU`; one of less than `SMALLEST_SHARE` of the largest
    is not a lung. Nor is gas, of which `GAS_SHARE` lies below `GAS_BELOW_HU`, as in bowel, unless a
    side has nothing else: then it is a lung with much emphysema. Two lungs that touch are one part,
    and so the lung of both sides. A border of the volume can cut a lung into several parts: all
    that reach the border are the lung.

    Args:
        marked: (X, Y, Z), all that a network marks in lungs, lesions included.
        volume_hu: (X, Y, Z) in HU, x between right and left, z along the patient.

    Returns:
        (at low x, at high x), each (X, Y, Z); all False for a side without lung.
    """
    return _two_lungs(*_air_parts(marked, volume_hu), _middle(volume_hu))


def _two_lungs(parts: Parts, gas: Mask, middle: int) -> tuple[Mask, Mask]:
    low, high = (
        np.bincount(parts[side].ravel(), minlength=len(gas)) * (np.arange(len(gas)) > 0)
        for side in (np.s_[:middle], np.s_[middle:])
    )
    fewest = max(1, SMALLEST_SHARE * max(low.max(), high.max()))
    return _lung(parts, low * (low >= fewest), gas), _lung(parts, high * (high >= fewest), gas)


def in_lungs(marked: Mask, volume_hu: npt.NDArray[Any]) -> Mask:
    """What of a network's marks lies in the lungs: what is joined to one of `two_lungs`.

    So dense parts stay, as consolidation does that hangs on the lung, and what lies in holes. Gas
    beside the lungs goes, and what hangs on it alone. On a side without lung, which may be white
    throughout, all marks at the height of the other lung stay.

    Args:
        marked: (X, Y, Z), all that a network marks in lungs, lesions included.
        volume_hu: (X, Y, Z) in HU, x between right and left, z along the patient.

    Returns:
        (X, Y, Z), a part of `marked`; all False where there is no lung.
    """
    parts, gas = _air_parts(marked, volume_hu)
    middle = _middle(volume_hu)
    low, high = _two_lungs(parts, gas, middle)
    lungs = low | high
    if not lungs.any():
        return lungs
    solid = cc3d.connected_components(marked & (lungs | ~gas[parts]), connectivity=6)
    kept = _with_holes(_parts_at(solid, lungs))
    heights = lungs.any(axis=(0, 1))
    kept[:middle] |= heights & ~low.any()
    kept[middle:] |= heights & ~high.any()
    return marked & kept


class KeepInsideLungsd(MapTransform):
    """Outside the lungs, make class 0 (background) certain, with a note of what was marked there.

    Table, bowel and the air before the neck look like lung, and their walls like lesion. See
    `in_lungs` for what stays. The note is N_OUTSIDE, from `NOTED_FROM_ML` of lesion on. Where a
    gate let slices pass, each run of them is judged by itself: a slice in which background is
    certain throughout was not looked at, and cuts the lungs as the end of a scan does.

    Args:
        keys: items with class probabilities (C, X, Y, Z); all classes but 0 lie in lungs.
        image_key: the network's input on the same grid, (1, X, Y, Z) in [0, 1], x between right and
            left and z along the patient, with its affine.
        window_hu: (low, high) in HU that the chain scaled to 0 and 1.
        lesion: classes that the note counts.

    Attributes:
        in_place: probabilities are changed themselves, in place of a copy.
    """

    in_place = False

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        *,
        window_hu: Sequence[float] = LUNG_WINDOW_HU,
        lesion: Sequence[int] = (1,),
    ) -> None:
        super().__init__(keys)
        self.image_key = image_key
        self.low, self.high = window_hu
        self.lesion = list(lesion)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image = data[self.image_key]
        volume: npt.NDArray[Any] | None = None
        affine = np.asarray(image.affine, np.float64)
        for key in self.key_iterator(result):
            scores = plain(result[key])
            labels = best_of(scores, range(len(scores)))[0].cpu().numpy()
            if not labels.any():
                continue
            if volume is None:
                volume = np.asarray(plain(image)[0].cpu()) * (self.high - self.low) + self.low
            seen = (scores[1:].amax(dim=(0, 1, 2)) > 0).cpu().numpy()
            kept = np.zeros(labels.shape, bool)
            for start, stop in runs(seen):
                run = np.s_[:, :, start:stop]
                if labels[run].any():
                    kept[run] = in_lungs(labels[run] > 0, volume[run])
            outside = torch.from_numpy((labels > 0) & ~kept)
            if outside.any():
                changed = surely(scores, outside, in_place=self.in_place)
                result[key] = placed(changed, result[key])
            lost = np.isin(labels, self.lesion) & ~kept
            ml = float(lost.sum()) * voxel_volume_ml(affine)
            if ml >= NOTED_FROM_ML:
                result = noted(result, Note("N_OUTSIDE", _words(ml, bool(kept.any()))))
        return result


def _words(ml: float, found: bool) -> str:
    if found:
        return f"{ml:.1f} ml of lesion were marked outside the lungs and left out."
    return f"No lung was found, so {ml:.1f} ml of lesion that were marked are left out."


def _air_parts(marked: Mask, volume_hu: npt.NDArray[Any]) -> tuple[Parts, Mask]:
    """Parts (X, Y, Z) of marked air, 0 elsewhere; and of each part whether it is gas."""
    parts, count = cc3d.connected_components(
        marked & (volume_hu < AIR_BELOW_HU), connectivity=6, return_N=True
    )
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    thin = np.bincount(parts[volume_hu < GAS_BELOW_HU], minlength=count + 1)
    gas: Mask = thin > GAS_SHARE * sizes
    gas[0] = False
    return parts, gas


def _lung(parts: Parts, sizes: npt.NDArray[np.integer[Any]], gas: Mask) -> Mask:
    """The largest part that is not gas, else the largest, and what is cut off it at a border."""
    chosen = sizes * ~gas if (sizes * ~gas).any() else sizes
    lung = np.zeros(len(sizes), bool)
    lung[chosen.argmax()] = chosen.any()
    for axis, end in product(range(3), (0, -1)):
        border = np.unique(parts.take(end, axis=axis))
        if lung[border].any():
            lung[border] |= chosen[border] > 0
    return lung[parts]


def _middle(volume_hu: npt.NDArray[Any]) -> int:
    """The first index along x beyond the middle of what is dense; of the volume, in air only."""
    dense = (volume_hu > BODY_ABOVE_HU).sum(axis=(1, 2))
    weights = dense if dense.any() else np.ones_like(dense)
    return int(np.ceil(np.average(np.arange(len(dense)) + 0.5, weights=weights)))


def _parts_at(parts: Parts, places: Mask) -> Mask:
    """All parts that have a voxel at one of the places."""
    at = np.zeros(int(parts.max()) + 1, bool)
    at[parts[places]] = True
    at[0] = False
    return at[parts]


def _with_holes(mask: Mask) -> Mask:
    """The mask, and what it encloses on all sides."""
    parts = cc3d.connected_components(np.pad(~mask, 1, constant_values=True), connectivity=6)
    inside: Mask = parts[1:-1, 1:-1, 1:-1] != parts[0, 0, 0]
    return inside
