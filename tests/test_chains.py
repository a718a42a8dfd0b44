# SPDX-License-Identifier: Apache-2.0
"""The shared chains: fingerprints, what comes out, and the way back to any orientation."""

import inspect
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from brain_phantoms import AFFINE, TUMOUR_BOX, save_slices, save_volumes, tiny_brain
from contracts.chains import ChainContract
from grids import each_grid
from monai.data import CacheDataset, MetaTensor, PersistentDataset
from monai.data.utils import pickle_hashing
from monai.transforms import Invertd
from phantoms import save_nifti, tiny_chest
from radiographs import grey_values, save_cr, save_picture, truth

from medvol import chains
from medvol.chains import IMAGENET_MEAN, IMAGENET_STD, Chain, brain_mri, lung_ct, radiograph
from medvol.spatial import orientation, spacing_mm
from medvol.transforms.head import standardise_head
from medvol.transforms.restore import InvertLabelsd

TURNS = ["RAS", "LPS", "RSA", "AIL", "SPR", "PLI"]


def save_chest(path: Path) -> Path:
    made = tiny_chest(noise_hu=10)
    return save_nifti(path, made.ct, made.affine)


class TestLungCt(ChainContract):
    make = lung_ct
    image = staticmethod(lambda folder: save_chest(folder / "ct.nii.gz"))
    fingerprint = "ab5a29b47b8f0a79"
    seen: ClassVar = [
        0.9287, 0.9273, 0.5311, 0.9298, 0.3365, 0.9252,
        0.9213, 0.333, 0.9312, 0.9286, 0.9303, 0.9282,
    ]  # fmt: skip
    same: ClassVar = [
        {"label_key": "label"},
        {"spacing_mm": [1.6, 1.6, 5]},
        {"window_hu": [-1350, 150]},
        {"crop": "chest", "crop_margin_mm": 40},
    ]
    changes: ClassVar = [
        {"spacing_mm": (1.6, 1.6, 5.01)},
        {"window_hu": (-160, 240)},
        {"crop": "body"},
        {"crop": "lungs"},
        {"crop": None},
        {"crop_margin_mm": 15.0},
    ]


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_outside_the_field_of_view_moves_nothing(tmp_path: Path, padding: int) -> None:
    made = tiny_chest(noise_hu=10)
    inputs = []
    for fill in (-1000, padding):  # it touches the body: 5 of its 26 columns are cut
        made.ct[:8] = fill
        inputs.append(lung_ct()({"image": save_nifti(tmp_path / "ct.nii.gz", *made[::2])})["image"])
    assert torch.equal(inputs[0], inputs[1])
    assert torch.equal(inputs[0].affine, inputs[1].affine)


class TestBrainMri(ChainContract):
    make = brain_mri
    image = staticmethod(lambda folder: save_volumes(folder / "patient", tiny_brain()))
    settings: ClassVar = {"spacing_mm": 1.2}
    fingerprint = "a2abe0c4833a1389"
    seen: ClassVar = [
        -0.6289, -0.6289, -0.6289, -3.164, -1.8825, -0.2634,
        4.0, -1.8825, -4.0, -0.6318, -0.6318, -0.6318,
    ]  # fmt: skip
    same: ClassVar = [{"label_key": "label"}, {"crop_margin_mm": 10}]
    changes: ClassVar = [{"spacing_mm": 1.3}, {"crop_margin_mm": 5}]
    channels = 3


class TestRadiograph(ChainContract):
    make = radiograph
    image = staticmethod(lambda folder: save_picture(folder / "a.png"))
    fingerprint = "3c5b2ffa65847046"
    seen: ClassVar = [
        -1.6674, -0.8782, -0.1009, 0.6883, -1.1843, -0.4071,
        0.3821, 1.1594, -0.7132, 0.076, 0.8533, 1.6424,
    ]  # fmt: skip
    same: ClassVar = [{"size": (224, 224)}, {"normalise": "image", "keep_aspect": False}]
    changes: ClassVar = [
        {"size": 225},
        {"size": (224, 225)},
        {"size": (225, 224)},
        {"keep_aspect": True},
        {"normalise": "none"},
        {"normalise": "imagenet"},
        {"normalise": (0.5, 0.226)},
        {"normalise": (0.449, 0.25)},
    ]
    axes = 2


def test_no_crop_has_no_margin() -> None:
    without = [lung_ct(crop=None, crop_margin_mm=mm).fingerprint for mm in (5.0, 20.0)]
    assert without[0] == without[1]


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return save_chest(tmp_path / "ct.nii.gz")


def test_the_fingerprint_does_not_depend_on_the_order_of_settings() -> None:
    one = Chain([], name="x", settings={"a": 1, "b": 2.0})
    assert one.fingerprint == Chain([], name="x", settings={"b": 2.0, "a": 1}).fingerprint
    assert one.fingerprint != Chain([], name="y", settings={"a": 1, "b": 2.0}).fingerprint


def test_what_comes_out(ct: Path) -> None:
    """32 x 32 x 16 voxels of 2 x 2 x 4 mm, all kept, become 32 x 64/3 x 64/5 of 2 x 3 x 5 mm."""
    image = lung_ct(spacing_mm=(2.0, 3.0, 5.0), crop=None)({"image": str(ct)})["image"]
    assert isinstance(image, MetaTensor)
    assert (image.shape, image.dtype) == ((1, 32, 21, 13), torch.float32)
    affine = image.affine.numpy()
    assert orientation(affine) == "RAS"
    np.testing.assert_allclose(spacing_mm(affine), (2.0, 3.0, 5.0))
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.meta["filename_or_obj"] == str(ct)


def test_hu_become_their_place_in_the_window(ct: Path) -> None:
    """Without resampling each voxel is its HU: -1350 is 0, 150 is 1; axes LPS turn to RAS."""
    image = lung_ct(spacing_mm=(2.0, 2.0, 4.0), crop=None)({"image": str(ct)})["image"]
    hu = tiny_chest(noise_hu=10).ct[::-1, ::-1].astype(np.float32)
    np.testing.assert_allclose(image[0], (hu + 1350) / 1500, atol=1e-6)


@pytest.mark.parametrize(
    ("crop", "margin_mm", "shape"),
    [
        ("lungs", 0.0, (20, 12, 8)),
        ("lungs", 8.0, (28, 20, 12)),  # 4, 4 and 2 voxels a side
        ("body", 0.0, (26, 22, 16)),
        ("chest", 0.0, (26, 22, 8)),
        ("chest", 8.0, (26, 22, 12)),
        (None, 20.0, (32, 32, 16)),
    ],
)
def test_the_crop_keeps_what_it_names_and_a_margin_in_mm(
    ct: Path, crop: str | None, margin_mm: float, shape: tuple[int, ...]
) -> None:
    chain = lung_ct(spacing_mm=(2.0, 2.0, 4.0), crop=crop, crop_margin_mm=margin_mm)
    assert chain({"image": str(ct)})["image"].shape[1:] == shape


@pytest.mark.parametrize("axes", TURNS)
def test_one_scan_in_any_orientation_gives_one_array(axes: str, tmp_path: Path) -> None:
    """Not only nearly: what the network sees, and so the mask, does not depend on the file."""
    import nibabel
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    made = tiny_chest(noise_hu=10)
    upright = nibabel.Nifti1Image(made.ct, made.affine)
    turn = ornt_transform(io_orientation(made.affine), axcodes2ornt(axes))
    turned = upright.as_reoriented(turn)
    assert "".join(nibabel.aff2axcodes(turned.affine)) == axes
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    nibabel.save(upright, tmp_path / "upright.nii.gz")
    chain = lung_ct(spacing_mm=(1.7, 2.3, 3.1), crop_margin_mm=5.0)
    one, other = (chain({"image": str(tmp_path / f"{n}.nii.gz")})["image"] for n in
                  ("upright", "turned"))  # fmt: skip
    assert torch.equal(one.as_tensor(), other.as_tensor())
    torch.testing.assert_close(one.affine, other.affine)


@each_grid
def test_labels_come_back_to_the_files_own_grid(affine: np.ndarray, tmp_path: Path) -> None:
    """The chain's own labels as a perfect network's scores: each comes back where it was.

    The grid's voxels are kept, so what lies in the crop must come back voxel by voxel.
    """
    made = tiny_chest()
    ct = save_nifti(tmp_path / "ct.nii", made.ct, affine)
    label = save_nifti(tmp_path / "label.nii", made.labels, affine)
    along = list(zip(orientation(affine), spacing_mm(affine), strict=True))
    spacing = [mm for pair in ("LR", "AP", "IS") for axis, mm in along if axis in pair]
    chain = lung_ct(spacing_mm=spacing, crop_margin_mm=3.0, label_key="label")
    data = chain({"image": str(ct), "label": str(label)})
    assert data["label"].shape == data["image"].shape
    assert data["image"].numel() < made.ct.size
    one_hot = torch.nn.functional.one_hot(data["label"][0].as_tensor().long(), 4)
    scores = MetaTensor(one_hot.movedim(-1, 0).float()).copy_meta_from(data["image"])
    out = InvertLabelsd("pred", chain)({"image": data["image"], "pred": scores})["pred"]
    np.testing.assert_allclose(out.affine.numpy(), affine, atol=1e-5)
    np.testing.assert_array_equal(out[0].numpy(), made.labels)


def test_image_and_label_pass_through_the_same_geometry(ct: Path, tmp_path: Path) -> None:
    made = tiny_chest()
    label = save_nifti(tmp_path / "label.nii.gz", made.labels, made.affine)
    chain = lung_ct(spacing_mm=(1.0, 1.0, 2.0), crop_margin_mm=4.0, label_key="label")
    data = chain({"image": str(ct), "label": str(label), "case": "a"})
    assert data["image"].shape == data["label"].shape
    assert torch.equal(data["image"].affine, data["label"].affine)
    assert data["label"].unique().tolist() == [0, 1, 2, 3]
    assert data["case"] == "a"
    inside = data["label"] == 3
    assert data["image"][inside].median() == pytest.approx((-850 + 1350) / 1500, abs=0.01)


def test_the_image_itself_comes_back(ct: Path) -> None:
    """On the file's grid, cropped to the lungs; HU are still windowed, since that loses values."""
    chain = lung_ct(spacing_mm=(1.6, 1.6, 3.2), crop_margin_mm=4.0)
    data = chain({"image": str(ct)})
    data["pred"] = data["image"].clone()
    back = Invertd("pred", chain, orig_keys="image", nearest_interp=False)(data)["pred"]
    assert back.shape == (1, 32, 32, 16)
    np.testing.assert_array_equal(back.affine.numpy(), tiny_chest().affine)
    expected = (tiny_chest().ct[7:13, 11:15, 5:11] + 1350) / 1500  # within the first lung
    np.testing.assert_allclose(back[0, 7:13, 11:15, 5:11], expected, atol=0.05)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"crop": "lung"}, "find is 'lung'; give one of chest, lungs, body"),
        ({"crop_margin_mm": -1.0}, "crop_margin_mm is -1.0; give 0 or more"),
        ({"spacing_mm": (1.0, 1.0)}, "give three positive numbers"),
        ({"spacing_mm": (1.0, 1.0, -5.0)}, "give three positive numbers"),
        ({"window_hu": (150, -1350)}, "give (low, high) with low < high"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        lung_ct(**settings)


def test_brain_slices_are_resampled_in_plane_cropped_and_standardised(tmp_path: Path) -> None:
    """4 mm pixels to 8 mm: the head of 24 x 28 pixels becomes 12 x 14; no margin."""
    folder = save_volumes(tmp_path / "p", tiny_brain())
    data = brain_mri(spacing_mm=8.0, crop_margin_mm=0)({"image": folder})["image"]
    assert data.shape == (3, 12, 14, 6)
    assert spacing_mm(data.affine.numpy()) == pytest.approx((8, 8, 5))
    assert orientation(data.affine.numpy()) == "RAS"
    plain = brain_mri(spacing_mm=4.0, crop_margin_mm=8)({"image": folder})["image"]
    head = tiny_brain().sequences[:, 2:30, 4:36][:, ::-1, ::-1].copy()  # 8 mm: two pixels around it
    torch.testing.assert_close(plain.as_tensor(), standardise_head(torch.from_numpy(head)))


def test_pictures_and_volumes_give_one_input(tmp_path: Path) -> None:
    """The same brain as pictures, with their spacing, and as volumes with the axes of AFFINE."""
    from medvol.images.slice_images import SLICE_SPACING_MM

    made = tiny_brain()
    slices = save_slices(tmp_path / "slices", made)
    affine = np.diag([-SLICE_SPACING_MM[0], -SLICE_SPACING_MM[1], SLICE_SPACING_MM[2], 1])
    volumes = save_volumes(tmp_path / "volumes", made, t1=affine, flair=affine, t1c=affine)
    chain = brain_mri(spacing_mm=1.0)
    of_slices, of_volumes = (chain({"image": p})["image"] for p in (slices, volumes))
    torch.testing.assert_close(of_slices.as_tensor(), of_volumes.as_tensor())


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_a_mark_in_the_brain_comes_back_in_any_orientation(tmp_path: Path, codes: str) -> None:
    """FLAIR itself tells the tumour, so that what the chain did must be undone exactly."""
    import nibabel

    made = tiny_brain()
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(AFFINE), nibabel.orientations.axcodes2ornt(codes)
    )
    images = {}
    for name, array in zip(("t1", "flair", "t1c"), made.sequences, strict=True):
        images[name] = nibabel.Nifti1Image(array, AFFINE).as_reoriented(turn)
        save_nifti(tmp_path / f"{name}.nii.gz", np.asarray(images[name].dataobj),
                   images[name].affine)  # fmt: skip
    chain = brain_mri(spacing_mm=4.0)
    data = chain({"image": tmp_path})
    flair, t1 = data["image"][1], data["image"][0]
    marked = (flair - t1 > 2).float()  # in the tumour alone
    data["pred"] = MetaTensor(torch.stack([1 - marked, marked]))
    label = InvertLabelsd("pred", transform=chain)(data)["pred"]
    mask = nibabel.Nifti1Image(made.mask, AFFINE).as_reoriented(turn)
    same = np.asarray(label[0]) == np.asarray(mask.dataobj)
    assert bool(same.all())
    assert int(label.sum()) == made.mask[TUMOUR_BOX].size == 72
    assert np.allclose(np.asarray(label.affine), mask.affine)


def test_a_negative_margin_around_the_head_is_refused() -> None:
    with pytest.raises(ValueError, match="crop_margin_mm is -1; give 0 or more"):
        brain_mri(crop_margin_mm=-1)


@pytest.fixture
def xray(tmp_path: Path) -> Path:
    return save_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("same", "as_this"),
    [
        ({"image_key": "xray"}, {}),
        ({"size": (224, 224)}, {}),
        ({"size": [224, 224], "normalise": "image", "keep_aspect": False}, {}),
        ({"normalise": [0.449, 0.226]}, {"normalise": "imagenet"}),
        ({"normalise": (0, 1)}, {"normalise": "none"}),
    ],
)
def test_one_chain_of_radiographs_said_in_two_ways(
    same: dict[str, Any], as_this: dict[str, Any]
) -> None:
    assert radiograph(**same).fingerprint == radiograph(**as_this).fingerprint


def test_a_radiograph_of_the_size_asked_for_is_left_bit_by_bit(xray: Path) -> None:
    image = radiograph(size=(20, 24), normalise="none")({"image": str(xray), "label": 1})
    assert image["label"] == 1
    tensor = image["image"]
    assert isinstance(tensor, MetaTensor)
    assert (tensor.shape, tensor.dtype) == ((1, 20, 24), torch.float32)
    assert np.array_equal(tensor.as_tensor()[0], truth())
    assert tensor.meta["filename_or_obj"] == str(xray)
    assert tensor.meta["notes"] == ""


def test_twins_of_a_radiograph_give_one_tensor(xray: Path, tmp_path: Path) -> None:
    deep = grey_values().astype(np.uint16) * 257
    twins = [
        xray,
        save_picture(tmp_path / "deep.png", deep),
        save_picture(tmp_path / "fractions.tif", truth()),
        save_cr(tmp_path / "a.dcm", 65535 - deep, PhotometricInterpretation="MONOCHROME1"),
    ]
    chain = radiograph(size=11)
    first, *others = (chain({"image": path})["image"].as_tensor() for path in twins)
    for other in others:
        torch.testing.assert_close(first, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [16, 64], ids=["smaller", "larger"])
def test_each_image_gets_mean_0_and_deviation_1(xray: Path, size: int) -> None:
    image = radiograph(size=size)({"image": xray})["image"].as_tensor()
    assert image.shape == (1, size, size)
    assert image.mean().item() == pytest.approx(0, abs=1e-5)
    assert image.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_the_mean_and_deviation_of_a_data_set_are_the_same_for_all(xray: Path) -> None:
    """Black becomes -mean / deviation, white (1 - mean) / deviation."""
    given = radiograph(size=(20, 24), normalise=(0.5, 0.25))({"image": xray})["image"]
    assert given.aminmax() == (-2, 2)
    torch.testing.assert_close(given.as_tensor()[0], torch.from_numpy((truth() - 0.5) * 4))
    photo = radiograph(size=(20, 24), normalise="imagenet")({"image": xray})["image"]
    low, high = photo.aminmax()
    assert low.item() == pytest.approx(-IMAGENET_MEAN / IMAGENET_STD)
    assert high.item() == pytest.approx((1 - IMAGENET_MEAN) / IMAGENET_STD)


@pytest.mark.parametrize("normalise", ["middle", "ranks"])
def test_only_the_middle_of_a_radiograph(tmp_path: Path, normalise: str) -> None:
    """What lies beside it changes nothing, and leaves 0."""
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    framed = grey.copy()
    framed[:4], framed[:, :2] = 255, 0
    paths = [save_picture(tmp_path / f"{n}.png", g) for n, g in enumerate((grey, framed))]
    chain = radiograph(size=32, normalise=normalise, only_middle=True)
    one, other = (chain({"image": path})["image"].as_tensor() for path in paths)
    assert torch.equal(one, other)
    assert float(one.abs().sum()) == float(one[:, 4:28, 2:30].abs().sum())
    assert chain.fingerprint != radiograph(size=32, normalise=normalise).fingerprint


def test_keeping_the_aspect_adds_black_before_normalising(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", np.repeat(np.uint8([[0, 255]]), 4, 0))  # 4 x 2
    chain = radiograph(size=4, keep_aspect=True, normalise=(0.5, 0.5))
    assert chain({"image": path})["image"].tolist() == [[[-1, -1, 1, -1]] * 4]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": 0}, "size is 0; give one whole number of pixels, or rows and columns"),
        ({"size": (1, 2, 3)}, "size is"),
        (
            {"normalise": "imagnet"},
            "normalise is 'imagnet'; give 'none', 'image', 'middle', 'ranks', 'imagenet', or",
        ),
        ({"normalise": (0.5, 0)}, "a mean and a standard deviation above 0"),
        ({"normalise": (float("nan"), 1)}, "a mean and a standard deviation"),
        ({"normalise": (1, 2, 3)}, "normalise is"),
        ({"only_middle": True}, "normalise is 'image' with only_middle; give one of 'middle'"),
    ],
)
def test_a_wrong_setting_of_radiographs_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        radiograph(**wrong)


def test_radiographs_are_kept_in_memory_and_on_disk(xray: Path, tmp_path: Path) -> None:
    chain = radiograph(size=16)
    items = [{"image": str(xray), "label": 1}]
    fresh = chain(items[0])["image"].as_tensor()
    in_memory = CacheDataset(items, chain, progress=False)
    on_disk = [
        PersistentDataset(items, chain, tmp_path / "kept", hash_transform=pickle_hashing)
        for _ in range(2)
    ]
    for data in (in_memory, *on_disk, *on_disk):
        assert torch.equal(torch.as_tensor(data[0]["image"]), fresh)
        assert data[0]["label"] == 1
    assert len(list((tmp_path / "kept").iterdir())) == 1
    xray.unlink()
    assert torch.equal(torch.as_tensor(on_disk[1][0]["image"]), fresh)  # it is not read again


def test_what_is_kept_on_disk_belongs_to_one_chain(xray: Path, tmp_path: Path) -> None:
    for settings in ({}, {"size": 16}, {"keep_aspect": True}, {"normalise": "none"}, {}):
        data = PersistentDataset(
            [{"image": str(xray)}], radiograph(**settings), tmp_path / "kept",
            hash_transform=pickle_hashing, track_meta=True,
        )  # fmt: skip
        assert torch.equal(data[0]["image"], radiograph(**settings)({"image": str(xray)})["image"])
        assert data[0]["image"].meta["filename_or_obj"] == str(xray)
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_every_chain_is_under_contract() -> None:
    made = {
        function
        for function in vars(chains).values()
        if inspect.isfunction(function) and function.__annotations__.get("return") is Chain
    }
    assert made == {test.make for test in ChainContract.__subclasses__()}
