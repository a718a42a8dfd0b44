# SPDX-License-Identifier: Apache-2.0
"""Masks that were saved cropped or turned come back to the voxels they were drawn on."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel import orientations

from medvol.errors import InputError
from medvol.images.cropped import on_grid_of
from medvol.images.image import Image

AFFINE = np.array([[0, -2, 0, 5], [1.5, 0, 0, -3], [0, 0, 4, 11], [0, 0, 0, 1.0]])
IMAGE = Image(np.zeros((7, 8, 9), np.float32), AFFINE, Path("ct.nii.gz"))
BOX = (slice(2, 6), slice(3, 8), slice(0, 7))
PATH = Path("mask.seg.nrrd")


def _mask():
    """An L, which no turn or flip maps to itself."""
    mask = np.zeros((7, 8, 9), np.uint8)
    mask[2:6, 3, 1] = 1
    mask[2, 3:7, 1] = 2
    mask[2, 3, 1:6] = 3
    return mask


def _shifted(steps):
    moved = AFFINE.copy()
    moved[:3, 3] += AFFINE[:3, :3] @ steps
    return moved


def _refused(labels, affine):
    with pytest.raises(InputError) as refused:
        on_grid_of(IMAGE, labels, affine, PATH)
    assert refused.value.code == "E_GEOMETRY"
    return refused.value.reason


def test_a_cropped_mask_comes_back_from_all_48_orientations():
    mask = _mask()
    cropped = nibabel.Nifti1Image(mask[BOX], _shifted([2, 3, 0]))
    own = nibabel.io_orientation(cropped.affine)
    seen = set()
    for letters in itertools.product("LR", "PA", "IS"):
        for codes in itertools.permutations(letters):
            turn = orientations.ornt_transform(own, orientations.axcodes2ornt(codes))
            turned = cropped.as_reoriented(turn)
            found = on_grid_of(IMAGE, np.asarray(turned.dataobj), turned.affine, PATH)
            assert np.array_equal(found, mask)
            seen.add(codes)
    assert len(seen) == 48


def test_a_larger_mask_is_cut_where_it_says_nothing_only():
    large = np.pad(_mask(), 3)
    assert np.array_equal(on_grid_of(IMAGE, large, _shifted([-3, -3, -3]), PATH), _mask())
    large[0, 0, 0] = 1
    assert "outside of the image" in _refused(large, _shifted([-3, -3, -3]))


def test_an_empty_mask_that_lies_elsewhere_marks_nothing():
    empty = np.zeros((2, 2, 2), np.uint8)
    assert not on_grid_of(IMAGE, empty, _shifted([50, -50, 0]), PATH).any()


def test_voxels_of_another_size_or_direction_are_refused():
    assert "another size" in _refused(_mask(), AFFINE @ np.diag([2.0, 1, 1, 1]))
    assert "another size" in _refused(_mask(), AFFINE @ np.diag([0.5, 1, 1, 1]))
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    assert "voxels" in _refused(_mask(), AFFINE @ turned)


@pytest.mark.parametrize(("shift", "fits"), [(0.04, True), (0.06, False)])
def test_a_shift_by_a_part_of_a_voxel(shift, fits):
    affine = _shifted([shift, 0, 0])
    if fits:
        assert np.array_equal(on_grid_of(IMAGE, _mask(), affine, PATH), _mask())
    else:
        assert "0.06 voxels beside" in _refused(_mask(), affine)
