# SPDX-License-Identifier: Apache-2.0
"""Volumes and masks as NIfTI: the right place in every reader, whole or not at all, no name."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from grids import GRIDS, L_VOXELS, assert_same_places, each_grid, places_mm
from phantoms import l_shape, tiny_chest
from refusals import full_disk

from medvol import __version__
from medvol.errors import InputError
from medvol.images.writing import as_mask, write_mask, write_volume

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
SHEARED = np.array([[1.5, 0, 0, 10], [0, 2.0, 0.5, 20], [0, 0, 3.0, 30], [0, 0, 0, 1.0]])


@each_grid
def test_mask_lies_on_the_grid_for_nibabel_and_itk(affine: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "mask.nii.gz"
    write_mask(path, l_shape(), affine)
    image = nibabel.load(path)
    assert np.array_equal(image.affine, affine)
    assert np.array_equal(np.argwhere(np.asanyarray(image.dataobj)), np.argwhere(l_shape()))
    by_qform = sitk.ReadImage(str(path))
    marked = np.argwhere(sitk.GetArrayFromImage(by_qform).T)
    places = [by_qform.TransformIndexToPhysicalPoint(v.tolist()) for v in marked]
    assert_same_places(np.array(places) * LPS_TO_RAS, places_mm(L_VOXELS, affine))


def test_header_says_scanner_millimetres_and_medvol_only(tmp_path: Path) -> None:
    path = tmp_path / "mask.nii"
    write_mask(path, l_shape(), GRIDS["LPS"])
    header = nibabel.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    assert header["descrip"].item() == f"medvol {__version__}".encode()
    assert header["aux_file"].item() == header["intent_name"].item() == b""
    assert len(header.extensions) == 0
    np.testing.assert_allclose(header.get_zooms(), (1.5, 2.0, 3.0))


@pytest.mark.parametrize(
    ("highest", "given", "stored"),
    [
        (1, "int64", "uint8"),
        (255, "int16", "uint8"),
        (256, "int32", "uint16"),
        (1, "bool", "uint8"),
    ],
)
def test_smallest_type_that_holds_the_labels(
    highest: int, given: str, stored: str, tmp_path: Path
) -> None:
    labels = np.zeros((3, 4, 5), given)
    labels[1, 2, 3] = highest
    write_mask(tmp_path / "mask.nii.gz", labels, GRIDS["RAS"])
    image = nibabel.load(tmp_path / "mask.nii.gz")
    assert image.get_data_dtype() == np.dtype(stored)
    assert np.asanyarray(image.dataobj)[1, 2, 3] == highest
    assert np.asanyarray(image.dataobj).sum() == highest


def test_same_mask_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask(tmp_path / name, l_shape(), GRIDS["LPS"])
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_sheared_grid_keeps_its_sform_and_claims_no_qform(tmp_path: Path) -> None:
    path = tmp_path / "mask.nii.gz"
    write_mask(path, l_shape(), SHEARED)
    image = nibabel.load(path)
    assert np.array_equal(image.affine, SHEARED)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)


def test_float64_affine_is_rounded_to_the_nearest_float32(tmp_path: Path) -> None:
    affine = np.diag([0.1, 0.1, 0.1, 1.0])
    write_mask(tmp_path / "mask.nii.gz", l_shape(), affine)
    written = nibabel.load(tmp_path / "mask.nii.gz").affine
    assert np.array_equal(written, affine.astype(np.float32))
    assert not np.array_equal(written, affine)


def test_full_disk_leaves_the_older_mask(tmp_path: Path) -> None:
    path = tmp_path / "mask.nii"
    write_mask(path, l_shape(), GRIDS["RAS"])
    before = path.read_bytes()
    with full_disk(), pytest.raises(InputError) as caught:
        write_mask(path, l_shape() * 2, GRIDS["RAS"])
    assert caught.value.code == "E_NOSPACE"
    assert caught.value.path == str(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("kept", [0, 100, 352, 380])
def test_disk_that_swallows_bytes_is_found_out(
    name: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_bytes
    kept = min(kept, 40) if name.endswith(".gz") else kept
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: written(self, data[:kept]))
    with pytest.raises(InputError, match=r"E_NOSPACE .*reads back differently"):
        write_mask(tmp_path / name, l_shape(), GRIDS["RAS"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((3, 3), np.uint8), r"shape \(3, 3\); give 3 axes"),
        (np.zeros((0, 3, 3), np.uint8), "with voxels"),
        (np.zeros((3, 3, 3), np.float32), "labels are float32; give whole numbers"),
        (np.full((2, 2, 2), -1), r"-1\.\.-1; give values in 0\.\.65535"),
        (np.full((2, 2, 2), 65536), r"65536\.\.65536"),
    ],
    ids=["two-axes", "no-voxels", "float", "negative", "too-high"],
)
def test_labels_that_are_no_mask(labels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_mask(labels)


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.eye(3), "give \\(4, 4\\) finite"),
        (np.diag([1, 1, np.nan, 1]), "give \\(4, 4\\) finite"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "no volume per voxel"),
    ],
    ids=["3x3", "nan", "flat"],
)
def test_affine_that_places_nothing(affine: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        write_mask(tmp_path / "mask.nii.gz", l_shape(), affine)


def test_other_suffix(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not end in \.nii or \.nii\.gz"):
        write_mask(tmp_path / "mask.nrrd", l_shape(), GRIDS["RAS"])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_is_read_back(tmp_path: Path, suffix: str) -> None:
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


def test_same_volume_same_bytes(tmp_path: Path) -> None:
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
def test_a_volume_that_cannot_be_written_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write_volume(tmp_path / name, np.zeros(shape, np.int16), np.eye(4))
