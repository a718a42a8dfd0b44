# SPDX-License-Identifier: Apache-2.0
"""`segmentation.nii.gz`: the mask on the input's grid; the same from a bundle's `SaveImaged`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data.folder_layout import FolderLayoutBase
from monai.data.image_writer import ImageWriter

from ..images.find import case_name
from ..images.writing import write_mask
from ..spatial import same_grid

if TYPE_CHECKING:
    from .save import Saving

_PATH = re.compile(r"[/\\]")  # what would make folders of a patch's number, which metadata give


def write(path: Path, saving: "Saving") -> None:
    """Write the mask of an answer; see `write_mask` for what it raises."""
    write_mask(path, saving.mask, saving.answer.image.affine)


class MaskWriter(ImageWriter):
    """Write one label volume with `write_mask`, under the name that `SaveImaged` chose.

    In a config: `SaveImaged(keys="pred", writer="medvol.outputs.mask.MaskWriter",
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


class CaseLayout(FolderLayoutBase):
    """Name a mask `<case>_<postfix><extension>`, with the case's name as `medvol predict` gives it.

    MONAI's own layout cuts a name at its last dot, so that the masks of the DICOM folders
    1.2.840.10 and 1.2.840.11 would have one name, and the second would replace the first.

    In a config: `SaveImaged(keys="pred", folder_layout=CaseLayout("masks"))`; the names that
    `SaveImaged` itself would give (`output_dir`, `output_postfix`, ...) are then not looked at.

    Args:
        output_dir: folder of the masks.
        postfix: behind the case's name; empty for none.
        extension: suffix of the files, with or without its first dot.
        separate_folder: give each mask a folder, called as the case.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        *,
        postfix: str = "seg",
        extension: str = ".nii.gz",
        separate_folder: bool = False,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.postfix = postfix
        self.extension = f".{extension.lstrip('.')}"
        self.separate_folder = separate_folder

    def filename(
        self, subject: str | os.PathLike[str] = "subject", idx: object = None, **_more: Any
    ) -> Path:
        """Where the mask goes.

        Args:
            subject: path of the image, or a number where it has none.
            idx: number of the patch, where an image has several.
        """
        case = case_name(subject)
        folder = self.output_dir / case if self.separate_folder else self.output_dir
        parts = [case, self.postfix, "" if idx is None else _PATH.sub("_", str(idx))]
        return folder / ("_".join(part for part in parts if part) + self.extension)
