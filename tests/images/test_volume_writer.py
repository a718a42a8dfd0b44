# SPDX-License-Identifier: Apache-2.0
"""Volumes written as NIfTI are read back the same, and the same input gives the same bytes."""

import nibabel
import numpy as np
import pytest
from phantoms import tiny_chest

from medvol.images.volume_writer import write_volume


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_round_trip(tmp_path, suffix):
    made = tiny_chest(noise_hu=20)
    path = tmp_path / f"ct{suffix}"
    write_volume(path, made.ct, made.affine)
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.int16
    assert np.array_equal(np.asarray(image.dataobj), made.ct)
    for affine, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert np.allclose(affine, made.affine, atol=1e-5)
        assert code == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header["descrip"].item().startswith(b"medvol ")


def test_same_input_same_bytes(tmp_path):
    made = tiny_chest()
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, made.ct, made.affine)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [("ct.mha", (2, 2, 2), "ct.mha' does not end in"), ("ct.nii", (2, 2), "has 2 axes")],
    ids=["suffix", "axes"],
)
def test_refusals(tmp_path, name, shape, words):
    with pytest.raises(ValueError, match=words):
        write_volume(tmp_path / name, np.zeros(shape, np.int16), np.eye(4))
