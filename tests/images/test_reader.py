# SPDX-License-Identifier: Apache-2.0
"""medvol's reader behind MONAI's `LoadImaged`: alone, from a config, in a worker process."""

import gzip

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureChannelFirstd, LoadImage, LoadImaged
from phantoms import TINY_AFFINE, save_nifti, tiny_chest
from radiographs import save_picture, truth

from medvol.errors import InputError
from medvol.images.reader import ImageReader, load_imaged

CHEST = tiny_chest()


@pytest.fixture
def case(tmp_path):
    return {
        "image": str(save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, TINY_AFFINE)),
        "label": str(save_nifti(tmp_path / "label.nii.gz", CHEST.labels, TINY_AFFINE)),
    }


def chain():
    return Compose(
        [
            LoadImaged("image", reader=ImageReader()),
            LoadImaged("label", reader=ImageReader(kind="mask"), dtype=np.uint8),
            EnsureChannelFirstd(["image", "label"]),
        ]
    )


def test_image_and_label(case):
    loaded = chain()(case)
    image, label = loaded["image"], loaded["label"]
    assert (tuple(image.shape), image.dtype) == ((1, 32, 32, 16), torch.float32)
    np.testing.assert_array_equal(image[0], CHEST.ct)
    np.testing.assert_array_equal(image.affine, TINY_AFFINE)
    assert label.dtype == torch.uint8
    np.testing.assert_array_equal(label[0], CHEST.labels)
    assert image.meta["filename_or_obj"] == case["image"]
    assert image.meta["notes"] == []


def test_in_a_worker_process(case):
    loader = DataLoader(Dataset([case, case], chain()), batch_size=2, num_workers=1)
    (batch,) = loader
    assert tuple(batch["image"].shape) == (2, 1, 32, 32, 16)
    np.testing.assert_array_equal(batch["image"][1, 0], CHEST.ct)
    np.testing.assert_array_equal(batch["image"].affine[1], TINY_AFFINE)


@pytest.mark.parametrize(
    "reader",
    [{"_target_": "medvol.images.reader.ImageReader"}, "medvol.images.reader.ImageReader"],
)
def test_from_a_config(case, reader):
    config = {"load": {"_target_": "LoadImaged", "keys": "image", "reader": reader}}
    load = ConfigParser(config).get_parsed_content("load")
    np.testing.assert_array_equal(load(case)["image"], CHEST.ct)


def test_a_refusal_is_not_handed_to_another_reader(tmp_path):
    header = gzip.decompress(save_nifti(tmp_path / "a.nii.gz", CHEST.ct, TINY_AFFINE).read_bytes())
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(gzip.compress(header)[:-100])
    with pytest.raises(InputError, match=r"E_TRUNCATED .*cut\.nii\.gz"):
        LoadImage(reader=ImageReader())(path)


def test_a_mask_is_checked(case):
    with pytest.raises(InputError, match="E_VALUES"):
        LoadImage(reader=ImageReader(kind="mask"))(case["image"])


def test_arguments():
    with pytest.raises(ValueError, match="kind is 'x'; give one of volume, mask"):
        ImageReader(kind="x")
    with pytest.raises(ValueError, match="2 files are given as one image; give one per key"):
        ImageReader().read(("a.nii", "b.nii"))


def test_suffixes(case, tmp_path):
    assert ImageReader().verify_suffix((case["image"],))
    assert not ImageReader().verify_suffix(tmp_path / "a.png")


def test_a_radiograph(tmp_path):
    path = save_picture(tmp_path / "a.jpg", format="PNG")
    image = load_imaged("image", kind="radiograph")({"image": path})["image"]
    assert (tuple(image.shape), image.dtype) == ((20, 24), torch.float32)
    np.testing.assert_array_equal(image, truth())
    assert image.meta["filename_or_obj"] == str(path)
    assert image.meta["notes"].split()[0] == "N_FORMAT"
    with_channel = LoadImaged(
        "image", reader=ImageReader(kind="radiograph"), ensure_channel_first=True
    )
    assert with_channel({"image": path})["image"].shape == (1, 20, 24)


def test_a_radiograph_in_worker_processes(tmp_path):
    items = [{"image": str(save_picture(tmp_path / f"{k}.png"))} for k in range(4)]
    steps = Compose([load_imaged("image", kind="radiograph"), EnsureChannelFirstd("image")])
    for batch in DataLoader(Dataset(items, steps), batch_size=2, num_workers=2):
        np.testing.assert_array_equal(batch["image"][1, 0], truth())


def test_a_refused_radiograph_is_not_handed_to_another_reader(tmp_path):
    path = save_picture(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"E_TRUNCATED .*a\.png"):
        LoadImage(reader=ImageReader(kind="radiograph"))(path)
    assert ImageReader(kind="radiograph").verify_suffix((path,))
    assert not ImageReader(kind="radiograph").verify_suffix(tmp_path / "a.nii.gz")
