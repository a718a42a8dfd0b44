# SPDX-License-Identifier: Apache-2.0
"""Images of other packages in memory: the same values and the same place as through a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from brain_phantoms import AFFINE, save_volumes, tiny_brain
from grids import GRIDS
from monai.data import MetaTensor
from monai.transforms import LoadImage
from phantoms import l_shape, save_nifti
from PIL import Image as Pillow
from refusals import refused_by

from medvol.images import read_image
from medvol.images.memory import image_of, mask_as

HU = l_shape().astype(np.int16) * 100 - 900  # an L without any symmetry
KINDS = ("numpy", "nibabel", "simpleitk", "itk", "metatensor")


def itk_image(path: Path) -> Any:
    itk = pytest.importorskip("itk", reason="the extra medvol[itk] is not installed")
    return itk.imread(path)


OPENED: dict[str, Callable[[Path], Any]] = {
    "nibabel": nibabel.load,
    "nibabel made": lambda path: nibabel.Nifti1Image(HU, nibabel.load(path).affine),
    "SimpleITK": SimpleITK.ReadImage,
    "ITK": itk_image,
    "MONAI": LoadImage(image_only=True, reader="NibabelReader", dtype=np.int16),
    "MONAI with a channel": LoadImage(
        image_only=True, reader="NibabelReader", ensure_channel_first=True, dtype=np.int16
    ),
    "NumPy": lambda path: (HU, nibabel.load(path).affine),
}


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("grid", ["LPS", "SAR", "oblique", "oblique-left-handed"])
def test_values_and_place_as_through_a_file(tmp_path: Path, grid: str, kind: str) -> None:
    path = save_nifti(tmp_path / "ct.nii.gz", HU, GRIDS[grid])
    through_file, made = read_image(path), image_of(OPENED[kind](path))
    assert np.array_equal(made.array, through_file.array)
    assert made.array.dtype == through_file.array.dtype == np.int16
    np.testing.assert_allclose(made.affine, through_file.affine, atol=1e-4)  # a qform is float32
    assert made.notes == through_file.notes
    assert made.in_memory
    assert not through_file.in_memory


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", ["LPS", "SAR", "oblique", "oblique-left-handed"])
def test_a_mask_comes_back_where_it_was(grid: str, kind: Any) -> None:
    if kind == "itk":
        pytest.importorskip("itk", reason="the extra medvol[itk] is not installed")
    given = mask_as(l_shape(), GRIDS[grid], kind)
    back = image_of(given, "mask")
    assert np.array_equal(back.array, l_shape())
    np.testing.assert_allclose(back.affine, GRIDS[grid], atol=1e-5)
    if kind == "metatensor":
        assert given.shape == (1, *l_shape().shape)
        assert given.dtype == torch.uint8


def test_itk_and_simpleitk_agree_on_the_place_of_a_voxel() -> None:
    """Voxel (1, 2, 3) of an oblique grid, in LPS mm, as the packages themselves work it out."""
    expected = (np.diag([-1, -1, 1, 1]) @ GRIDS["oblique"] @ [1, 2, 3, 1])[:3]
    theirs = mask_as(l_shape(), GRIDS["oblique"], "simpleitk")
    assert theirs.TransformIndexToPhysicalPoint((1, 2, 3)) == pytest.approx(expected)
    pytest.importorskip("itk", reason="the extra medvol[itk] is not installed")
    other = mask_as(l_shape(), GRIDS["oblique"], "itk")
    assert tuple(other.TransformIndexToPhysicalPoint((1, 2, 3))) == pytest.approx(expected)


def test_no_such_kind() -> None:
    with pytest.raises(ValueError, match="kind is 'dicom'; give one of numpy, nibabel"):
        mask_as(l_shape(), np.eye(4), "dicom")  # type: ignore[arg-type]


def test_scaled_values_and_lengths_in_metres(tmp_path: Path) -> None:
    made = nibabel.Nifti1Image(HU, np.diag([0.005, 0.005, 0.01, 1]))
    made.header.set_xyzt_units("meter")
    made.header.set_slope_inter(0.5, 3)
    nibabel.save(made, tmp_path / "m.nii")
    through_file, given = read_image(tmp_path / "m.nii"), image_of(nibabel.load(tmp_path / "m.nii"))
    np.testing.assert_allclose(given.array, through_file.array, atol=1e-3)
    np.testing.assert_allclose(given.affine, np.diag([5, 5, 10, 1]), atol=1e-6)
    assert [note.code for note in given.notes] == ["N_UNITS", "N_ANISO"]


@pytest.mark.parametrize("kind", ["nibabel", "SimpleITK"])
def test_one_frame_of_time_is_a_volume(kind: str) -> None:
    one: Any = nibabel.Nifti1Image(HU[..., None], GRIDS["LPS"])
    if kind == "SimpleITK":
        one = SimpleITK.JoinSeries([mask_as(HU, GRIDS["LPS"], "simpleitk")])
    made = image_of(one)
    assert np.array_equal(made.array, HU)
    np.testing.assert_allclose(made.affine, GRIDS["LPS"], atol=1e-5)
    assert made.notes[0].code == "N_SQUEEZED"


def test_a_tensor_in_lps() -> None:
    tensor = MetaTensor(torch.from_numpy(HU), affine=torch.from_numpy(GRIDS["LPS"]))
    tensor.meta["space"] = "LPS"
    flipped = np.diag([-1, -1, 1, 1]) @ GRIDS["LPS"]
    np.testing.assert_allclose(image_of(tensor).affine, flipped)


def test_the_object_is_not_changed() -> None:
    values = HU.astype(np.float32)
    values[0, 0, 0] = np.nan
    made = image_of((values, np.eye(4)))
    assert made.array[0, 0, 0] == -900  # the lowest value takes the place of NaN
    assert np.isnan(values[0, 0, 0])
    assert made.notes[0].code == "N_NAN_FILLED"


@pytest.mark.parametrize("kind", ["NumPy", "MetaTensor", "SimpleITK", "nibabel"])
def test_sequences_are_channels(tmp_path: Path, kind: str) -> None:
    brain = tiny_brain()
    through_file = read_image(save_volumes(tmp_path / "p", brain), "sequences")
    channels = np.stack(brain.sequences)
    place = np.array(AFFINE, np.float64)
    if kind == "NumPy":
        given: Any = (channels, place)
    elif kind == "MetaTensor":
        given = MetaTensor(torch.from_numpy(channels), affine=torch.from_numpy(place))
    elif kind == "nibabel":
        given = nibabel.Nifti1Image(np.moveaxis(channels, 0, 3), place)
    else:
        given = SimpleITK.Compose(
            *(mask_as(channel, place, "simpleitk") for channel in channels)
        )  # fmt: skip
    made = image_of(given, "sequences")
    assert made.channels is not None
    assert np.array_equal(made.channels, through_file.seen)
    assert np.array_equal(made.array, through_file.array)
    np.testing.assert_allclose(made.affine, through_file.affine, atol=1e-6)
    assert made.facts["channels"] == through_file.facts["channels"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_radiograph_as_through_a_picture(tmp_path: Path, dtype: Any) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (9, 7))
    stored = {np.uint8: grey, np.uint16: grey * 257, np.float32: grey / 255}[dtype].astype(dtype)
    Pillow.fromarray(stored).save(path := tmp_path / "x.tiff")
    through_file = read_image(path, "radiograph").array
    for given in ((stored, None), (stored[None], np.eye(4)), SimpleITK.GetImageFromArray(stored)):
        made = image_of(given, "radiograph")
        np.testing.assert_allclose(made.array, through_file, atol=1e-7)
        assert made.array.dtype == np.float32


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        ((HU, None), "volume", "E_GEOMETRY"),
        ((HU, np.eye(3)), "volume", "E_GEOMETRY"),
        ((HU, np.zeros((4, 4))), "volume", "E_GEOMETRY"),
        ((HU[0], np.eye(4)), "volume", "E_DIMS"),
        ((np.stack([HU, HU]), np.eye(4)), "volume", "E_DIMS"),
        ((HU[None, ..., :1].repeat(3, 0), np.eye(4)), "volume", "E_DIMS"),
        (nibabel.Nifti1Image(HU[..., None].repeat(3, 3), np.eye(4)), "volume", "E_DIMS"),
        (nibabel.Nifti1Image(HU[..., :1, None].repeat(3, 3), np.eye(4)), "volume", "E_DIMS"),
        (SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(HU)] * 2), "volume", "E_DIMS"),
        ((np.stack([HU, HU]), np.eye(4)), "sequences", "E_DIMS"),
        ((HU, np.eye(4)), "radiograph", "E_DIMS"),
        ((HU[0] / 100, None), "radiograph", "E_VALUES"),
        ((np.zeros((4, 4), np.float32), None), "radiograph", "E_VALUES"),
        ((np.zeros(HU.shape), np.eye(4)), "volume", "E_VALUES"),
        ((HU.astype(np.complex64), np.eye(4)), "volume", "E_VALUES"),
        ((HU, np.eye(4)), "mask", "E_VALUES"),
    ],
)
def test_what_cannot_be_trusted_is_refused(given: Any, kind: Any, code: str) -> None:
    refused_by(lambda: image_of(given, kind), code)


@pytest.mark.parametrize("given", [HU, torch.zeros(2, 2, 2), 3, (HU, HU, HU), {"image": HU}])
def test_other_objects_are_not_images(given: Any) -> None:
    with pytest.raises(TypeError, match="not an image that medvol takes"):
        image_of(given)
