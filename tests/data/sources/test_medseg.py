# SPDX-License-Identifier: Apache-2.0
"""The MedSeg slices: upright, framed, in HU, in their split; refusals; the real set."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import make_medseg_set
from PIL import Image

from medvol.chains import lung_ct
from medvol.data.lung_lesions import NO_LESION
from medvol.data.sources.medseg import medseg_datalist
from medvol.errors import InputError
from medvol.transforms.body import inside_body


@pytest.mark.parametrize("published", [False, True], ids=["short", "published"])
def test_slices_become_volumes_in_the_fixed_split(tmp_path: Path, published: bool) -> None:
    folder = make_medseg_set(tmp_path / "in", published=published)
    datalist = medseg_datalist(folder, tmp_path / "out", spacing_mm=2.0)
    assert [(row["case"], row["fold"]) for row in datalist.parts["training"]] == [
        ("medseg_0", 0), ("medseg_1", 0), ("medseg_10", 0), ("medseg_2", 1)
    ]  # fmt: skip
    image, label = (nibabel.load(datalist.parts["training"][3][key]) for key in ("image", "label"))
    # 20 x 12 pixels in a frame of 10 mm, twice
    assert image.shape == label.shape == (30, 22, 2)
    assert np.array_equal(image.affine, np.diag([-2, -2, 5, 1]))
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    hu, marked = np.asarray(image.dataobj), np.asarray(label.dataobj)
    assert np.array_equal(hu[..., 0], hu[..., 1])
    assert (hu[:5] == 40).all()
    assert (marked[:5] == 0).all()
    inside = marked[5:25, 5:17, 0]
    counts = {int(v): int((inside == v).sum()) for v in np.unique(inside)}
    assert counts == {1: 16, 2: 16, NO_LESION: 208}
    # ground-glass of the tiny chest: x 6-9, y 16-19, so the patient's right, behind
    assert (inside[:4, 6:10] == 1).all()
    # its -580 HU are grey 95; the darkest lung, -850 HU or grey 45, counts as -930
    assert hu[5, 11, 0] == pytest.approx(40 - 115 * 970 / 165, abs=0.5)
    assert datalist.about["facts"]["medseg_2"]["voxels"] == {
        "ground-glass opacity": 16, "consolidation": 16
    }  # fmt: skip
    assert datalist.about["labels"]["4"] == "background or lung"


def test_without_a_spacing_each_slice_gets_the_size_of_lungs(tmp_path: Path) -> None:
    datalist = medseg_datalist(make_medseg_set(tmp_path / "in"), tmp_path / "out")
    affine = nibabel.load(datalist.parts["training"][0]["image"]).affine
    assert abs(affine[0, 0]) == pytest.approx(275 / 20, abs=1e-5)


def test_the_frame_closes_the_chest(tmp_path: Path) -> None:
    """Lungs are cropped at the border; the frame keeps them inside the body."""
    datalist = medseg_datalist(make_medseg_set(tmp_path / "in"), tmp_path / "out", spacing_mm=2.0)
    row = datalist.parts["training"][0]
    data = lung_ct(label_key="label")({"image": row["image"], "label": row["label"]})
    assert data["image"].shape == (1, 38, 28, 2)
    assert inside_body(np.asarray(data["image"][0]) * 1500 - 1350).all()
    assert set(np.unique(data["label"])) == {0, 1, 2, NO_LESION}


def spoil_missing(folder: Path) -> None:
    (folder / "train/masks/1.png").unlink()


def spoil_size(folder: Path) -> None:
    Image.new("L", (12, 21)).save(folder / "train/masks/1.png")


def spoil_values(folder: Path) -> None:
    Image.new("L", (12, 20), 255).save(folder / "train/masks/1.png")


def spoil_format(folder: Path) -> None:
    (folder / "train/imgs/1.png").write_text("no picture")


def spoil_lung(folder: Path) -> None:
    Image.new("L", (12, 20), 200).save(folder / "train/imgs/1.png")


@pytest.mark.parametrize(
    ("spoil", "code", "file", "words"),
    [
        (spoil_missing, "E_PATH", "masks/1.png", "no such file"),
        (spoil_size, "E_GEOMETRY", "masks/1.png", r"\(21, 12\) pixels, its picture \(20, 12\)"),
        (spoil_values, "E_VALUES", "masks/1.png", "holds 255; known values are 0, 1, 2, 3, 38, 75"),
        (spoil_format, "E_FORMAT", "imgs/1.png", "no picture"),
        (spoil_lung, "E_VALUES", "imgs/1.png", "shows no lung"),
    ],
)
def test_a_slice_that_cannot_be_used_is_refused(tmp_path, spoil, code, file, words) -> None:
    folder = make_medseg_set(tmp_path / "in")
    spoil(folder)
    with pytest.raises(InputError, match=words) as refusal:
        medseg_datalist(folder, tmp_path / "out")
    assert refusal.value.code == code
    assert str(refusal.value.path).endswith(file)


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds no slices") as refusal:
        medseg_datalist(tmp_path, tmp_path / "out")
    assert refusal.value.code == "E_EMPTY"


def test_a_spacing_must_be_above_0(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spacing_mm is 0; give more than 0"):
        medseg_datalist(tmp_path, tmp_path / "out", spacing_mm=0)


def test_real_set(real_data: Path, tmp_path: Path) -> None:
    datalist = medseg_datalist(real_data / "ct_medseg_slices", tmp_path)
    folds = [row["fold"] for row in datalist.parts["training"]]
    assert (folds.count(0), folds.count(1)) == (50, 48)
    assert datalist.about["facts"]["medseg_0"]["voxels"] == {
        "ground-glass opacity": 8136, "consolidation": 27645
    }  # fmt: skip
    haze, dense = [], []
    for row in datalist.parts["training"]:
        hu, label = (np.asarray(nibabel.load(row[key]).dataobj) for key in ("image", "label"))
        haze += [np.median(hu[label == 1])] if (label == 1).sum() > 400 else []
        dense += [np.median(hu[label == 2])] if (label == 2).sum() > 400 else []
    assert np.median(haze) == pytest.approx(-580, abs=30)
    assert np.std(haze) < 85  # one window for all slices: 119
    assert np.median(dense) == pytest.approx(-215, abs=30)
