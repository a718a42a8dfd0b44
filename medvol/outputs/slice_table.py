# SPDX-License-Identifier: Apache-2.0
"""`slices.csv`: what was found in each slice of an image."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ignite.engine import Engine, Events

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


class SaveSlices:
    """Write a table of slices for each image, `<case>_slices.csv`: a handler for an evaluator.

    It is none of a bundle's transforms, so that MONAI Label and MONAI Deploy, which run these and
    show what they want themselves, write no files of it. So does `medvol predict`.

    Args:
        key: item of the evaluator's output (classes, N), the probabilities of the input's slices;
            an output without it has no table.
        output_dir: folder of the tables.
        image_key: item with the network's input, whose metadata say what the input was.
    """

    def __init__(
        self, key: str, output_dir: str | os.PathLike[str], image_key: str = "image"
    ) -> None:
        self.key = key
        self.layout = CaseLayout(output_dir, postfix="slices", extension=".csv")
        self.image_key = image_key

    def attach(self, engine: Engine) -> None:
        """Write the tables of each batch as soon as it is through.

        Args:
            engine: the evaluator.
        """
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the tables of a batch."""
        for item in engine.state.output:
            if self.key in item:
                self.write(item)

    def write(self, item: Mapping[str, Any]) -> None:
        """Write the table of one image.

        Args:
            item: of the evaluator's output.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        meta = item[self.image_key].meta
        shape = [int(n) for n in meta["spatial_shape"]]
        z_mm = slice_z_mm(shape, np.asarray(meta["original_affine"], np.float64))
        path: Path = self.layout.filename(meta["filename_or_obj"])
        write_slice_table(path, z_mm, positive(np.asarray(item[self.key])))
