# SPDX-License-Identifier: Apache-2.0
"""Where the chest, the lungs or the body lie in a CT: a coarse mask to crop to."""

from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
import torch

AIR_BELOW_HU = -400.0  # aerated lung and ground-glass lie below, soft tissue above
SMALLEST_LUNG_SHARE = 0.002  # of the volume; smaller pockets of air are bowel or noise
BODY_ABOVE_HU = -300.0  # fat is about -100, clothes and table foam are below

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


def _extent(line: npt.ArrayLike) -> slice:
    """From the first True to the last."""
    places = np.flatnonzero(line)
    return slice(int(places[0]), int(places[-1]) + 1)


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

    def __call__(self, volume_hu: torch.Tensor) -> torch.Tensor:
        """(1, X, Y, Z) HU to (1, X, Y, Z) bool."""
        mask = self.mask(np.asarray(volume_hu[0].cpu()))
        return torch.from_numpy(mask if mask.any() else np.ones_like(mask))[None]
