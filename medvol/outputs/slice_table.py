# SPDX-License-Identifier: Apache-2.0
"""`slices.csv`: what was found in each slice of an image."""

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform

from ..files import write_csv
from ..metrics.measurements import voxels_per_slice
from ..slices import positive
from ..spatial import feet_head_axis, slice_z_mm
from .mask import CaseLayout

if TYPE_CHECKING:
    from .save import Saving

Column = npt.NDArray[Any]


def write(path: Path, saving: "Saving") -> None:
    """Write the slices of an answer; see `write_slice_table` for what it raises."""
    answer, slices, voxels = saving.answer, saving.slices, {}
    if answer.mask is not None:
        axis, spec = feet_head_axis(answer.image.affine), answer.spec
        voxels[spec.focus_name] = voxels_per_slice(answer.mask, spec.focus)[axis]
    files = answer.image.facts.get("slices", ())
    write_slice_table(path, slices.z_mm, slices.probability, files=files, voxels=voxels)


def write_slice_table(
    path: str | os.PathLike[str],
    z_mm: Column,
    probability: Column,
    *,
    files: Sequence[str] = (),
    voxels: Mapping[str, Column] | None = None,
) -> None:
    """Write one line a slice, in the order of the image's array.

    Columns: `file` where slices are files, `slice` (0 is the array's first), `z_mm` (towards the
    head), `probability`, and `<name>_voxels` for each label counted.

    Args:
        path: of the CSV; appears whole or not at all.
        z_mm: (N,) middle of each slice, RAS.
        probability: (N,), 0 to 1.
        files: name of each slice's file; empty where the volume is one file.
        voxels: name of a label to its voxels in each slice, (N,).

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    columns: dict[str, Sequence[object]] = {"file": list(files)} if files else {}
    columns["slice"] = range(len(z_mm))
    columns["z_mm"] = [f"{z:.2f}" for z in z_mm]
    columns["probability"] = [f"{p:.4f}" for p in probability]
    for name, counts in (voxels or {}).items():
        columns["_".join([*name.split(), "voxels"])] = [int(n) for n in counts]
    write_csv(path, list(columns), zip(*columns.values(), strict=True))


class SaveSlicesd(MapTransform):
    """Write a table of slices for each image, `<case>_slices.csv`; for a bundle's postprocessing.

    `medvol predict` leaves it out, since it writes `slices.csv` itself.

    Args:
        keys: items (classes, N) with the probabilities of the input's slices; a missing one is
            passed over.
        output_dir: folder of the tables.
        orig_keys: item with the network's input, whose metadata say what the input was.
    """

    writes_files = True

    def __init__(
        self, keys: KeysCollection, output_dir: str | os.PathLike[str], orig_keys: str = "image"
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.layout = CaseLayout(output_dir, postfix="slices", extension=".csv")
        self.orig_keys = orig_keys

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        meta = result[self.orig_keys].meta
        shape = [int(n) for n in meta["spatial_shape"]]
        z_mm = slice_z_mm(shape, np.asarray(meta["original_affine"], np.float64))
        for key in self.key_iterator(result):
            path: Path = self.layout.filename(meta["filename_or_obj"])
            write_slice_table(path, z_mm, positive(np.asarray(result[key])))
        return result
