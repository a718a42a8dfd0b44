# SPDX-License-Identifier: Apache-2.0
"""The picture of slices: bars at the height of their slices, in every orientation."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from matplotlib import image as pictures
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from phantoms import tiny_chest

from medvol.images.image import Image
from medvol.report.overlay import Look
from medvol.report.slice_profile import LOUD, draw_slice_profile

LOOK = Look((-1350.0, 150.0), (1, 2), "lesion", "chest")
CHEST = tiny_chest()


def rgb(code: str) -> np.ndarray:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def draw(
    path: Path, ct: np.ndarray, affine: np.ndarray, probability: np.ndarray, **options: object
) -> np.ndarray:
    image = Image(ct, affine, Path("ct.nii.gz"))
    draw_slice_profile(path, image, probability=probability, threshold=0.5, look=LOOK, **options)  # type: ignore
    return pictures.imread(path)[..., :3]


def rows_of(picture: np.ndarray, color: str) -> np.ndarray:
    return np.flatnonzero((np.abs(picture - rgb(color)) < 0.02).all(-1).sum(1) > 20)


def test_slices_near_the_head_are_on_top(tmp_path: Path) -> None:
    low, high = np.zeros(16), np.zeros(16)
    low[:4], high[12:] = 0.9, 0.9
    rows = [rows_of(draw(tmp_path / "p.png", CHEST.ct, CHEST.affine, p), LOUD) for p in (high, low)]
    assert len(rows[0]) == pytest.approx(len(rows[1]), abs=3)
    assert rows[0].max() < rows[1].min()


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SAR", "ALI"])
def test_one_scan_gives_one_picture_in_any_orientation(axes: str, tmp_path: Path) -> None:
    probability = np.linspace(0, 1, 16)
    straight = nibabel.Nifti1Image(CHEST.ct, CHEST.affine)
    turn = ornt_transform(io_orientation(CHEST.affine), axcodes2ornt(tuple(axes)))
    turned = straight.as_reoriented(turn)
    downwards = "I" in axes
    expected = draw(tmp_path / "a.png", CHEST.ct, CHEST.affine, probability)
    given = probability[::-1] if downwards else probability
    found = draw(tmp_path / "b.png", np.asarray(turned.dataobj), turned.affine, given)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 0.01


def test_what_is_marked_is_tinted_in_the_coronal_slice(tmp_path: Path) -> None:
    nothing = np.zeros(16)
    plain = draw(tmp_path / "a.png", CHEST.ct, CHEST.affine, nothing)
    marked = draw(tmp_path / "b.png", CHEST.ct, CHEST.affine, nothing, mask=CHEST.labels)
    assert plain.shape == marked.shape
    grey = (np.ptp(plain, axis=-1) < 0.02).mean()
    assert (np.ptp(marked, axis=-1) < 0.02).mean() < grey - 0.001


def test_one_probability_a_slice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="15 probabilities for 16 slices; give one each"):
        draw(tmp_path / "p.png", CHEST.ct, CHEST.affine, np.zeros(15))
    assert list(tmp_path.iterdir()) == []


def test_a_single_slice(tmp_path: Path) -> None:
    assert draw(tmp_path / "p.png", CHEST.ct[..., :1], CHEST.affine, np.ones(1)).shape[1] == 1200


@pytest.mark.parametrize(("slice_mm", "stretched"), [(1.04, []), (0.5, ["2.0"]), (0.24, ["4.2"])])
def test_a_flat_stack_is_stretched_and_says_so(
    slice_mm: float, stretched: list[str], tmp_path: Path, drawn: Any
) -> None:
    affine = CHEST.affine.copy()
    affine[:3, 2] *= slice_mm / np.linalg.norm(affine[:3, 2])
    picture = draw(tmp_path / "p.png", CHEST.ct, affine, np.ones(16))
    said = [text.split()[3] for text in drawn.texts if "stretched" in text]
    assert said == stretched
    assert len(rows_of(picture, LOUD)) > 60  # the bars are seen
