# SPDX-License-Identifier: Apache-2.0
"""The table of slices, written out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor
from refusals import full_disk

from medvol.errors import InputError
from medvol.outputs.slice_table import SaveSlices, write_slice_table

Z_MM, PROBABILITY = np.array([-2.5, 0.0, 2.5]), np.array([0.0, 0.98766, 1.0])


def test_smallest_table(tmp_path: Path) -> None:
    write_slice_table(tmp_path / "slices.csv", Z_MM, PROBABILITY)
    assert (tmp_path / "slices.csv").read_text() == (
        "slice,z_mm,probability\n0,-2.50,0.0000\n1,0.00,0.9877\n2,2.50,1.0000\n"
    )


def test_files_and_voxels(tmp_path: Path) -> None:
    write_slice_table(
        tmp_path / "slices.csv", Z_MM, PROBABILITY, files=["a_1.png", "a_2.png", "a_10.png"],
        voxels={"brain tumour": np.array([0, 12, 3])},
    )  # fmt: skip
    assert (tmp_path / "slices.csv").read_text() == (
        "file,slice,z_mm,probability,brain_tumour_voxels\n"
        "a_1.png,0,-2.50,0.0000,0\na_2.png,1,0.00,0.9877,12\na_10.png,2,2.50,1.0000,3\n"
    )


def test_columns_of_different_length_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        write_slice_table(tmp_path / "slices.csv", Z_MM, PROBABILITY, files=["a"])
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with full_disk(20), pytest.raises(InputError):
        write_slice_table(tmp_path / "slices.csv", Z_MM, PROBABILITY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "values", [[[0.0, 0.25, 1.0]], [[1.0, 0.75, 0.0], [0.0, 0.25, 1.0]]], ids=["one", "classes"]
)
def test_behind_a_bundle_each_case_has_its_table(tmp_path: Path, values: list[list[float]]) -> None:
    meta = {
        "filename_or_obj": "scans/1.2.840.nii.gz", "spatial_shape": [4, 4, 3],
        "original_affine": np.diag([1.0, 1.0, 5.0, 1.0]),
    }  # fmt: skip
    item = {"image": MetaTensor(torch.zeros(1, 2, 2, 2), meta=meta), "pred": torch.tensor(values)}
    run(SaveSlices("pred", tmp_path), item)
    assert (tmp_path / "1.2.840_slices.csv").read_text() == (
        "slice,z_mm,probability\n0,0.00,0.0000\n1,5.00,0.2500\n2,10.00,1.0000\n"
    )


def test_without_probabilities_there_is_no_table(tmp_path: Path) -> None:
    meta = {"filename_or_obj": "a.nii", "spatial_shape": [4, 4, 3], "original_affine": np.eye(4)}
    run(SaveSlices("slices", tmp_path), {"image": MetaTensor(torch.zeros(1, 2, 2, 2), meta=meta)})
    assert list(tmp_path.iterdir()) == []


def run(handler: SaveSlices, item: dict[str, torch.Tensor]) -> None:
    engine = Engine(lambda _, batch: batch)
    handler.attach(engine)
    engine.run([[item]])
