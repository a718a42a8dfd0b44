# SPDX-License-Identifier: Apache-2.0
"""Masks written by a bundle's `SaveImaged`, in the same manner as by `medvol predict`."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.data.image_writer import ImageWriter

from ..images.writing import write_mask
from ..spatial import same_grid


class MaskWriter(ImageWriter):
    """Write one label volume with `write_mask`, under the name that `SaveImaged` chose.

    In a config: `SaveImaged(keys="pred", writer="medvol.outputs.mask_writer.MaskWriter",
    output_postfix="seg")`. The type is always the smallest unsigned one, so `output_dtype` changes
    nothing. With `resample=True` a mask that lies on another grid than its image is brought there
    by the nearest voxel; a mask that `Invertd` brought back is left untouched.
    """

    def __init__(self, **_options: Any) -> None:
        super().__init__()
        self.affine = np.eye(4)

    def set_data_array(self, data_array: Any, channel_dim: int | None = 0, **_options: Any) -> None:
        """Take the labels.

        Args:
            data_array: array or tensor with one channel of (X, Y, Z) whole numbers.
            channel_dim: axis of the channel, None without one.

        Raises:
            ValueError: several channels, or numbers that are not whole.
        """
        array = np.asarray(torch.as_tensor(data_array).detach().cpu())
        if channel_dim is not None:
            channels = array.shape[channel_dim]
            if channels != 1:
                raise ValueError(
                    f"the prediction has {channels} channels; make labels of them first, with "
                    "AsDiscreted(argmax=True)"
                )
            array = array.squeeze(channel_dim)
        self.data_obj = _whole(array)

    def set_metadata(
        self, meta_dict: Mapping[str, Any] | None, resample: bool = True, **_options: Any
    ) -> None:
        """Take the place in the patient.

        Args:
            meta_dict: `affine` of the labels; with `resample` also `original_affine` and
                `spatial_shape` of the image.
            resample: bring the labels to the image's grid, if they lie on another.
        """
        original, affine, shape = self.get_meta_info(meta_dict)
        self.affine = np.eye(4) if affine is None else np.asarray(affine, np.float64)
        if not resample or original is None:
            return
        target = np.asarray(original, np.float64)
        size = self.data_obj.shape if shape is None else tuple(int(n) for n in shape)[-3:]
        if same_grid(self.data_obj.shape, self.affine, size, target, tolerance_mm=1e-3):
            self.affine = target
            return
        moved, _ = self.resample_if_needed(
            self.data_obj, self.affine, target, size, mode="nearest", padding_mode="zeros"
        )
        self.data_obj, self.affine = _whole(np.asarray(moved)), target

    def write(
        self, filename: str | os.PathLike[str], verbose: bool = False, **_options: Any
    ) -> None:
        """Write the mask; see `write_mask` for what it raises."""
        super().write(filename, verbose=verbose)
        write_mask(filename, self.data_obj, self.affine)


def _whole(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind in "bui":
        return array
    whole = array.astype(np.int32)
    if not np.array_equal(whole, array):
        raise ValueError("the prediction holds numbers that are not whole; make labels of it first")
    return whole
