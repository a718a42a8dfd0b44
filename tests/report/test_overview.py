# SPDX-License-Identifier: Apache-2.0
"""The picture of a data set shows the fullest slice, upright, in the labels' colours."""

import numpy as np
import pytest
from brain_phantoms import AFFINE, save_volumes, tiny_brain
from phantoms import save_nifti, tiny_chest
from PIL import Image

from medvol.data.lung_lesions import LABELS, LESION_VALUES
from medvol.report.overview import TINT, case_planes, draw_overview, draw_slices


def save_case(folder, *, lesions=True):
    made = tiny_chest(lesions=lesions, noise_hu=1)
    image = save_nifti(folder / "a_ct.nii.gz", made.ct, made.affine)
    label = save_nifti(folder / "a_label.nii.gz", made.labels, made.affine)
    return {"image": str(image), "label": str(label), "case": "a"}


def test_slices_with_most_lesion_are_upright(tmp_path):
    axial, coronal = case_planes(save_case(tmp_path), LESION_VALUES)
    assert axial.labels.shape == (32, 32)
    assert coronal.labels.shape == (16, 32)
    assert axial.size_mm[1] / axial.size_mm[0] == 1
    assert coronal.pixel_mm[0] / coronal.pixel_mm[1] == 2
    assert (axial.letters, coronal.letters) == ("RLAP", "RLSI")
    assert axial.captions == ("a", "")
    assert axial.window_hu == (-1350, 150)
    ground_glass, consolidation = LESION_VALUES
    assert (axial.labels[:, :16] == ground_glass).sum() == 16  # 4 x 4, right lung: on the left
    assert (axial.labels[:, 16:] == consolidation).sum() == 16
    rows = np.flatnonzero(np.isin(coronal.labels, LESION_VALUES).any(axis=1))
    assert rows.tolist() == [7, 8, 9, 10]  # slices 8 to 5, head on top


def test_picture_is_written_for_cases_with_and_without_lesion(tmp_path, drawn):
    items = [save_case(tmp_path / "x"), save_case(tmp_path / "y", lesions=False)]
    draw_overview(items, LABELS, tmp_path / "overview.png", focus=LESION_VALUES)
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")
    assert "2 cases" in drawn.texts
    assert drawn.texts.count("a") == 4  # the name of each case over both of its slices
    names = [label.name for label in LABELS]
    assert set(names) <= set(drawn.texts)
    assert f"axial and coronal slice with most {names[0]} and {names[1]}" in drawn.texts


def test_marked_voxels_have_the_colour_of_their_label(tmp_path):
    made, item = tiny_chest(noise_hu=1), save_case(tmp_path)
    draw_overview([item], LABELS, tmp_path / "overview.png", focus=LESION_VALUES)
    with Image.open(tmp_path / "overview.png") as picture:
        pixels = np.asarray(picture.convert("RGB")) / 255
    axial, _ = case_planes(item, LESION_VALUES)
    cell = (900 - 40 - 2 * 8) / 3  # three panels fit on the narrowest page
    for value in LESION_VALUES:
        row, column = np.argwhere(axial.labels == value).mean(axis=0) + 0.5
        found = pixels[round(80 + row * cell / 32), round(20 + column * cell / 32)]
        grey = (made.ct[made.labels == value].mean() + 1350) / 1500
        color = np.array(LABELS[value].color) / 255
        assert found == pytest.approx((1 - TINT) * grey + TINT * color, abs=0.03)


def test_many_cases_are_drawn_in_a_grid(tmp_path):
    item = save_case(tmp_path)
    draw_slices([item] * 8, LABELS, tmp_path / "slices.png", columns=7)
    with Image.open(tmp_path / "slices.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    cell = (7 * 140 - 40 - 6 * 8) / 7
    assert pixels.shape[:2] == (round(80 + 2 * cell + 8 + 8 + 30 + 34), 980)
    shown = [
        bool(
            (pixels[int(top) + 20 : int(top + cell) - 20, int(left) : int(left + cell)] > 60).any()
        )
        for top in (80, 80 + cell + 8)
        for left in (20 + k * (cell + 8) for k in range(7))
    ]
    assert shown == [True] * 8 + [False] * 6


def test_sequences_are_shown_as_flair_in_their_own_grey(tmp_path):
    made = tiny_brain()
    label = save_nifti(tmp_path / "label.nii.gz", made.mask, AFFINE)
    item = {"image": str(save_volumes(tmp_path / "p", made)), "label": str(label), "case": "p"}
    axial, _ = case_planes(item, [1], modality="MR")
    assert axial.labels.shape == (40, 32)
    assert np.argwhere(axial.labels == 1).min(0).tolist() == [10, 8]  # first row and column
    assert (axial.labels == 1).sum() == 36
    black, white = axial.window_hu
    grey = (axial.image - black) / (white - black)
    assert grey[0].max() == 0  # air
    assert grey[30, 20] == pytest.approx(90 / 180, abs=0.05)  # brain; white is the tumour
