# SPDX-License-Identifier: Apache-2.0
"""Only the part of a chest CT that holds the lungs goes through a bundle; the rest is background.

The lungs are looked for as air that the body encloses, among voxels some mm apart: that takes no
time. A lung without any air is not seen, so the box is as wide on both sides of the body's middle,
and wider than the lungs by a margin. What a bundle finds in a part is not exactly what it finds in
the whole volume: its windows lie elsewhere, and norms see other voxels.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import cc3d
import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)

from ..bundle.spec import Spec
from ..errors import InputError
from ..images.image import Image
from ..lungs import BODY_ABOVE_HU
from ..spatial import spacing_mm
from ..transforms.body import lung_mask

COARSE_MM = 3.0  # voxels in which lungs are looked for
BESIDE_MM = 20.0  # margin in the axial plane: the wall of the chest, and what is dense at it
ABOVE_MM = 40.0  # margin along the patient: consolidation at the diaphragm is dense
LARGEST_SHARE = 0.1  # of the largest part: smaller pockets of air are bowel

Box = tuple[slice, slice, slice]


class Part(NamedTuple):
    """The part of an image that goes through a bundle.

    Args:
        image: the part, or all of it.
        box: where it lies in the whole, in voxels; None where it is all.
        remark: on what was left out.
    """

    image: Image
    box: Box | None
    remark: str


def check_lungs(spec: Spec) -> None:
    """Refuse a bundle for whose images there is no crop to the lungs.

    Raises:
        InputError: E_BUNDLE, it does not label volumes of CT.
    """
    if spec.task != "volumes" or spec.modality != "CT":
        raise InputError(
            "E_BUNDLE", spec.folder, "it does not label volumes of CT, so there are no lungs to "
            "crop to.", "Leave out --crop.",
        )  # fmt: skip


def part_with_lungs(image: Image) -> Part:
    """The part of a chest CT that holds the lungs, with a margin; all of it where none are found.

    Args:
        image: in HU, of any orientation.
    """
    box = lung_box(image.array, image.affine)
    if box is None:
        return Part(image, None, "No lungs were found, so nothing was cropped.")
    corner = np.eye(4)
    corner[:3, 3] = [side.start for side in box]
    channels = None if image.channels is None else image.channels[(slice(None), *box)]
    part = replace(
        image, array=image.array[box], affine=image.affine @ corner, channels=channels
    )  # fmt: skip
    share = part.array.size / image.array.size
    return Part(part, box, f"Cropped to the lungs: {share:.0%} of the volume was looked at.")


def lung_box(volume_hu: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> Box | None:
    """Where the lungs lie, with a margin.

    Args:
        volume_hu: (X, Y, Z) in HU, of any orientation.
        affine: (4, 4) of its grid.

    Returns:
        A slice an axis; None where no lungs are found.
    """
    spacing = spacing_mm(affine)
    steps = [max(1, round(COARSE_MM / side)) for side in spacing]
    coarse = volume_hu[tuple(slice(None, None, step) for step in steps)]
    turn = ornt_transform(io_orientation(affine), axcodes2ornt("RAS"))
    upright = apply_orientation(coarse, turn)
    lungs = _largest(lung_mask(upright))
    if not lungs.any():
        return None
    back = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt("".join(aff2axcodes(affine))))
    box = np.zeros_like(lungs)
    box[_both_sides(_extent(lungs, 0), upright), _extent(lungs, 1), _extent(lungs, 2)] = True
    found = apply_orientation(box, back)
    sides = []
    for axis, code in enumerate(aff2axcodes(affine)):
        margin_mm = ABOVE_MM if code in "IS" else BESIDE_MM
        margin = int(np.ceil(margin_mm / spacing[axis]))
        side = _extent(found, axis)
        low = (
            (side.start - 1) * steps[axis] + 1 - margin
        )  # what lies between two that are looked at
        high = side.stop * steps[axis] + margin
        sides.append(slice(max(0, low), min(volume_hu.shape[axis], high)))
    return sides[0], sides[1], sides[2]


def on_the_whole(
    data: Mapping[str, Any], part: Part, image: Image, *, pred: str, slices: str
) -> dict[str, Any]:
    """What was found in a part, as if it had been found in the whole image.

    Args:
        data: what the bundle gave for the part: `pred`, labels (1, X, Y, Z) on the part's grid;
            `slices`, probabilities (classes, N) of its slices. What lies on another grid stays.
        part: of the image.
        image: the whole.
        pred, slices: names of these items.
    """
    found = dict(data)
    box, size = part.box, part.image.array.shape
    if box is None:
        return found
    labels = found.get(pred)
    if isinstance(labels, torch.Tensor) and labels.shape == (1, *size):
        whole = torch.zeros(1, *image.array.shape, dtype=labels.dtype)
        whole[(slice(None), *box)] = torch.as_tensor(labels).cpu()
        found[pred] = MetaTensor(whole, affine=torch.from_numpy(image.affine))
    values = found.get(slices)
    axis = next(a for a, code in enumerate(aff2axcodes(image.affine)) if code in "IS")
    if isinstance(values, torch.Tensor) and values.shape[-1:] == size[axis : axis + 1]:
        all_slices = torch.zeros(*values.shape[:-1], image.array.shape[axis], dtype=values.dtype)
        if len(values) > 1:
            all_slices[0] = 1  # not looked at: negative for certain, as beyond a chain's crop
        all_slices[..., box[axis]] = torch.as_tensor(values).cpu()
        found[slices] = all_slices
    return found


def _largest(lungs: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Without parts that are much smaller than the largest."""
    parts = cc3d.connected_components(lungs, connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept: npt.NDArray[np.bool_] = (sizes >= max(1, LARGEST_SHARE * sizes.max()))[parts]
    return kept


def _extent(mask: npt.NDArray[np.bool_], axis: int) -> slice:
    others = tuple(a for a in range(mask.ndim) if a != axis)
    places = np.flatnonzero(mask.any(axis=others))
    return slice(int(places[0]), int(places[-1]) + 1)


def _both_sides(side: slice, upright: npt.NDArray[Any]) -> slice:
    """As far from the body's middle on both sides, for a lung without air is not seen."""
    dense = (upright > BODY_ABOVE_HU).sum(axis=(1, 2))
    if not dense.any():
        return side
    middle = float(np.average(np.arange(len(dense)), weights=dense))
    reach = max(middle - side.start, side.stop - 1 - middle)
    low, high = int(np.floor(middle - reach)), int(np.ceil(middle + reach)) + 1
    return slice(max(0, min(low, side.start)), min(len(dense), max(high, side.stop)))
