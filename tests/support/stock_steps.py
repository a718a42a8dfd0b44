# SPDX-License-Identifier: Apache-2.0
"""The same chain as MONAI runs it, and with faster equals in its place, on awkward volumes."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from medvol.engine.substitutes.registry import PREPROCESSING
from medvol.engine.substitutes.rule import Substituted, substitute

AXES = nib.orientations.axcodes2ornt("RAS")


def affine_of(
    codes: str, spacing: Sequence[float], shape: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Of a grid whose axes run along those of the body, the first voxel somewhere."""
    turn = nib.orientations.ornt_transform(AXES, nib.orientations.axcodes2ornt(codes))
    inverse = nib.orientations.inv_ornt_aff(turn, shape)
    affine = np.diag([*spacing, 1.0]) @ inverse
    affine[:3, 3] += [3.3, -7.0, 11.5]
    return np.asarray(affine, np.float64)


def noise(shape: Sequence[int], dtype: Any = np.int16, *, order: Any = "F") -> npt.NDArray[Any]:
    """Voxels in HU that have nothing to do with their neighbours, in the order of a NIfTI file."""
    values = np.random.default_rng(int(np.prod(shape))).integers(-1024, 1024, shape)
    return np.asarray(values, dtype, order=order)


def image(
    array: npt.NDArray[Any], affine: npt.NDArray[np.float64], *, channels: bool = False
) -> MetaTensor:
    """As a reader gives it."""
    meta = {
        "original_channel_dim": 0 if channels else "no_channel",
        "filename_or_obj": "ct.nii.gz",
        "space": "RAS",
        "original_affine": affine.copy(),
    }
    return MetaTensor(torch.from_numpy(array), affine=torch.from_numpy(affine), meta=meta)


def substituted(steps: Sequence[Any]) -> Substituted:
    """The steps with their faster equals."""
    return substitute(steps, PREPROCESSING, part="preprocessing")


def both(steps: Sequence[Any], given: MetaTensor) -> tuple[MetaTensor, MetaTensor]:
    """What the steps make of float32, and what their equals make of it as it is stored."""
    stored = given.clone()
    stock = Compose(list(steps))({"image": given.to(torch.float32).contiguous()})["image"]
    fast = Compose(substituted(steps).steps)({"image": stored})["image"]
    return stock, fast


def assert_equal(stock: MetaTensor, fast: MetaTensor, tolerance: float) -> None:
    """The same voxels, place, metadata and trace."""
    assert fast.shape == stock.shape
    assert fast.dtype == stock.dtype
    torch.testing.assert_close(fast.as_tensor(), stock.as_tensor(), rtol=0, atol=tolerance)
    assert torch.equal(fast.affine, stock.affine)
    assert str(fast.applied_operations) == str(stock.applied_operations)
    assert str(fast.meta) == str(stock.meta)
