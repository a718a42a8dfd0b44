# SPDX-License-Identifier: Apache-2.0
"""The picture of a data set shows the fullest slice, upright, in the labels' colours."""

import numpy as np
import pytest
from brain_phantoms import AFFINE, save_volumes, tiny_brain
from phantoms import save_nifti, tiny_chest

from medvol.data.lung_lesions import LABELS, LESION_VALUES
from medvol.data.sources import lgg
from medvol.report.overview import TINT, case_slices, colored, draw_overview, draw_slices


def save_case(folder, *, lesions=True):
    made = tiny_chest(lesions=lesions, noise_hu=1)
    image = save_nifti(folder / "a_ct.nii.gz", made.ct, made.affine)
    label = save_nifti(folder / "a_label.nii.gz", made.labels, made.affine)
    return {"image": str(image), "label": str(label), "case": "a"}


def test_colors_are_mixed_over_grey():
    image = np.array([[150, -1350, -600]])
    picture = colored(image, np.array([[0, 0, 1]]), LABELS)
    assert picture[0, 0].tolist() == [1, 1, 1]
    assert picture[0, 1].tolist() == [0, 0, 0]
    expected = (1 - TINT) * 0.5 + TINT * np.array(LABELS[1].color) / 255
    assert picture[0, 2] == pytest.approx(expected, abs=1e-6)


def test_slices_with_most_lesion_are_upright(tmp_path):
    drawn = case_slices(save_case(tmp_path), LABELS, LESION_VALUES)
    assert drawn.axial.shape == (32, 32, 3)
    assert drawn.coronal.shape == (16, 32, 3)
    assert (drawn.axial_aspect, drawn.coronal_aspect) == (1.0, 2.0)
    redness = drawn.axial[..., 0] - drawn.axial[..., 2]
    left_half, right_half = redness[:, :16] > 0.1, redness[:, 16:] > 0.1
    assert left_half.sum() == 16  # 4 x 4 ground-glass in the right lung, left in the picture
    assert right_half.sum() == 16  # 4 x 4 consolidation
    rows = np.flatnonzero((drawn.coronal[..., 0] - drawn.coronal[..., 2] > 0.1).any(axis=1))
    assert rows.tolist() == [7, 8, 9, 10]  # slices 8 to 5, head on top


def test_picture_is_written_for_cases_with_and_without_lesion(tmp_path):
    items = [save_case(tmp_path / "x"), save_case(tmp_path / "y", lesions=False)]
    draw_overview(items, LABELS, tmp_path / "overview.png", focus=LESION_VALUES)
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_many_cases_are_drawn_in_a_grid(tmp_path):
    from PIL import Image

    item = save_case(tmp_path)
    draw_slices([item] * 5, LABELS, tmp_path / "slices.png", columns=3)
    with Image.open(tmp_path / "slices.png") as picture:
        assert picture.size == (420, 280)  # three columns, two rows
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    cells = [pixels[r : r + 140, c : c + 140] for r in (0, 140) for c in (0, 140, 280)]
    drawn = [bool((cell.max(axis=2) > 60).any()) for cell in cells]
    assert drawn == [True] * 5 + [False]


def test_sequences_are_shown_as_flair_in_their_own_grey(tmp_path):
    made = tiny_brain()
    label = save_nifti(tmp_path / "label.nii.gz", made.mask, AFFINE)
    item = {"image": str(save_volumes(tmp_path / "p", made)), "label": str(label), "case": "p"}
    drawn = case_slices(item, lgg.LABELS, [1], modality="MR")
    assert drawn.axial.shape == (40, 32, 3)
    redness = drawn.axial[..., 0] - drawn.axial[..., 2]
    assert np.argwhere(redness > 0.1).min(0).tolist() == [10, 8]  # the tumour's first row, column
    assert (redness > 0.1).sum() == 36
    assert drawn.axial[0].max() == 0  # air
    assert drawn.axial[30, 20, 0] == pytest.approx(90 / 180, abs=0.05)  # brain; white is the tumour
