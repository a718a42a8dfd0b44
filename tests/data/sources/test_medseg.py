# SPDX-License-Identifier: Apache-2.0
"""The MedSeg slices: upright, framed, grey to HU, in their split; refusals; the real set."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from phantoms import make_medseg_set
from PIL import Image

from medvol.chains import lung_ct
from medvol.data.lung_lesions import NO_LESION
from medvol.data.sources.medseg import (
    grey_to_hu,
    lung_box_spacing_mm,
    read,
    soft_tissue_grey,
)
from medvol.errors import InputError
from medvol.transforms.body import inside_body


@pytest.mark.parametrize("published", [False, True], ids=["short", "published"])
def test_slices_become_volumes_in_the_fixed_split(tmp_path: Path, published: bool) -> None:
    folder = make_medseg_set(tmp_path / "in", published=published)
    datalist = read(folder, tmp_path / "out", spacing=2.0)
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
    datalist = read(make_medseg_set(tmp_path / "in"), tmp_path / "out")
    affine = nibabel.load(datalist.parts["training"][0]["image"]).affine
    assert abs(affine[0, 0]) == pytest.approx(275 / 20, abs=1e-5)


def test_the_frame_closes_the_chest(tmp_path: Path) -> None:
    """Lungs are cropped at the border; the frame keeps them inside the body."""
    datalist = read(make_medseg_set(tmp_path / "in"), tmp_path / "out", spacing=2.0)
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
        (spoil_format, "E_FORMAT", "imgs/1.png", "is not a picture"),
        (spoil_lung, "E_VALUES", "imgs/1.png", "shows no lung"),
    ],
)
def test_a_slice_that_cannot_be_used_is_refused(tmp_path, spoil, code, file, words) -> None:
    folder = make_medseg_set(tmp_path / "in")
    spoil(folder)
    with pytest.raises(InputError, match=words) as refusal:
        read(folder, tmp_path / "out")
    assert refusal.value.code == code
    assert str(refusal.value.path).endswith(file)


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds no slices") as refusal:
        read(tmp_path, tmp_path / "out")
    assert refusal.value.code == "E_EMPTY"


def test_a_spacing_must_be_above_0(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spacing is 0; give more than 0 mm"):
        read(tmp_path, tmp_path / "out", spacing=0)


def picture(**pixels: int) -> np.ndarray:
    """Greys by name `g<grey>` with how many pixels each has."""
    return np.concatenate([np.full(n, int(name[1:]), np.uint8) for name, n in pixels.items()])


def test_two_tissues_give_the_line() -> None:
    grey = picture(g30=100, g210=80, g120=10, g183=20)
    hu = dict(zip(grey.tolist(), grey_to_hu(grey).tolist(), strict=True))
    # 970 HU over 180 greys
    assert hu == {30: -930, 210: 40, 120: -445, 183: -106}


def test_the_dark_end_is_a_low_percentile_of_what_is_darker_than_soft_tissue() -> None:
    # 200 pixels are lung; the third percentile lies at 5.97 of them, among the 10 of airway
    grey = picture(g20=10, g60=190, g200=500)
    assert grey_to_hu(np.array([20, 200], np.uint8).repeat([1, 1])).tolist() == [-930, 40]
    assert sorted(set(grey_to_hu(grey).tolist())) == [-930, round(40 - 140 * 970 / 180), 40]


def test_borders_and_what_the_window_cut_off_do_not_count() -> None:
    plain = picture(g30=100, g210=80)
    marked = np.concatenate([plain, picture(g0=500, g255=500)])
    assert grey_to_hu(marked)[: len(plain)].tolist() == grey_to_hu(plain).tolist()


def test_soft_tissue_beyond_the_window_is_at_its_end() -> None:
    assert soft_tissue_grey(picture(g30=100, g225=20, g251=300)) >= 250
    assert soft_tissue_grey(picture(g30=100, g225=200, g251=20)) == 225


def test_a_picture_without_lung_is_refused() -> None:
    with pytest.raises(ValueError, match="shows no lung"):
        grey_to_hu(picture(g200=100, g180=10))


def test_a_slice_is_as_large_as_lungs_allow() -> None:
    assert lung_box_spacing_mm(550, 300) == 0.5  # by its width
    assert lung_box_spacing_mm(100, 480) == 0.5  # by its depth


def test_real_set(real_data: Path, tmp_path: Path) -> None:
    datalist = read(real_data / "ct_medseg_slices", tmp_path)
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
