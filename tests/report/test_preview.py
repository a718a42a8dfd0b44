# SPDX-License-Identifier: Apache-2.0
"""The picture in 3D: sides, colours, what is seen through, and what stands in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from phantoms import tiny_chest

from medvol.images.image import Image
from medvol.labels import Label, LabelTable
from medvol.metrics.measurements import Reference
from medvol.report.overlay import Look
from medvol.report.preview import SIDES, draw_preview, paint, solids_of

RED, BLUE, GREEN = (255, 40, 40), (80, 120, 255), (40, 200, 60)
TABLE = LabelTable((Label(1, "lesion", RED), Label(2, "lung", BLUE), Label(3, "scar", GREEN)))
COLORS = np.array([(0, 0, 0), RED, BLUE, GREEN], np.float32) / 255
LOOK = Look((-1350.0, 150.0), (1, 3), title="phantom")
LUNG = Reference("lung", (1, 2, 3))
LPS = np.diag([-2.0, -2.0, 2.0, 1.0])
FRONT, RIGHT, BEHIND, LEFT = range(4)


def chest() -> tuple[Image, np.ndarray]:
    """An LPS block of lung with one lesion in the right upper front and one scar in the back."""
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[2:22, 2:18, 2:14] = 2
    labels[4:8, 4:7, 10:13] = 1
    labels[9:15, 14:17, 5:10] = 3
    volume = np.where(labels, -850, -1000).astype(np.float32)
    return Image(volume, LPS, Path("ct.nii.gz")), labels


def painted(image: Image, labels: np.ndarray, side: int, **words: object) -> np.ndarray:
    given = {"focus": (1, 3), "organ": LUNG.values, **words}
    return paint(solids_of(image, labels, LOOK, **given), SIDES[side], COLORS, BLUE)


def middle_of(picture: np.ndarray, color: int) -> tuple[float, float]:
    """Row and column, as shares, of where a channel outweighs the two others by far."""
    others = np.delete(picture, color, axis=2).max(axis=2)
    rows, columns = np.nonzero(picture[..., color] > others + 0.25)
    assert len(rows) > 20
    return rows.mean() / picture.shape[0], columns.mean() / picture.shape[1]


@pytest.mark.parametrize(
    ("side", "column"), [(FRONT, "left"), (RIGHT, "right"), (BEHIND, "right"), (LEFT, "left")]
)
def test_a_lesion_of_the_right_upper_front_from_each_side(side: int, column: str) -> None:
    row, at = middle_of(painted(*chest(), side), 0)
    assert row < 0.45
    assert at < 0.4 if column == "left" else at > 0.6


def test_letters_say_what_lies_where() -> None:
    assert [side.letters for side in SIDES] == ["RLSI", "PASI", "LRSI", "APSI"]


def test_the_nearer_one_hides_the_other() -> None:
    image, labels = chest()
    labels[labels == 1], labels[labels == 3] = 2, 2
    labels[9:15, 4:7, 5:10], labels[9:15, 13:16, 5:10] = 1, 3
    for side, near, far in ((FRONT, 0, 1), (BEHIND, 1, 0)):
        picture = painted(image, labels, side)
        middle_of(picture, near)
        assert not (picture[..., far] > picture[..., near] + 0.25).any()


def test_the_lung_is_seen_through_face_on_and_denser_at_its_edge() -> None:
    image, labels = chest()
    picture = painted(image, np.where(labels, 2, 0).astype(np.uint8), FRONT)
    blue = picture[picture.shape[0] // 2, :, 2]
    inside = np.flatnonzero(blue > 0.02)
    assert 0.05 < blue[len(blue) // 2] < 0.3
    assert blue[inside[:4]].max() > 1.3 * blue[len(blue) // 2]
    assert picture[0, 0].tolist() == [0, 0, 0]


def test_without_an_organ_the_body_is_the_hull() -> None:
    image, labels = chest()
    volume = image.array.copy()
    volume[1:23, 1:19, :] = 40  # brighter than the middle of the window, -600
    solids = solids_of(replace(image, array=volume), labels, LOOK, focus=(1, 3), organ=())
    middle = solids.hull[:, solids.hull.shape[1] // 2, solids.hull.shape[2] // 2]
    width_mm = (middle >= solids.hull_level).sum() * solids.step_mm
    assert width_mm == pytest.approx(44, abs=3)  # 22 voxels


def test_of_mr_the_body_is_brighter_than_the_mean() -> None:
    image, labels = chest()
    volume = np.full(labels.shape, 10.0, np.float32)
    volume[4:20, 4:16] = 400
    look = replace(LOOK, window_hu=(0.0, 1000.0), values="intensity")
    solids = solids_of(replace(image, array=volume), labels, look, focus=(1,), organ=())
    assert solids.hull.max() > 0.5  # 400 is below the middle of the window, above the mean of 205


def test_marks_outside_the_organ_are_drawn_too() -> None:
    image, labels = chest()
    labels[:] = 0
    labels[2:10, 2:18, 2:14], labels[18:22, 8:12, 6:10] = 2, 1
    row, column = middle_of(painted(image, labels, FRONT), 0)
    assert 0.4 < row < 0.6
    assert column > 0.75


def test_the_picture_says_what_it_shows(drawn, tmp_path: Path) -> None:
    image, labels = chest()
    draw_preview(tmp_path / "a.png", image, labels, table=TABLE, look=LOOK, organ=LUNG)
    assert imread(tmp_path / "a.png").shape[1] == 1600
    said = " ".join(drawn.texts)
    assert "lesion in 3D, inside the lung, which is seen through" in said
    assert "lesion 0.29 ml" in said  # 36 voxels of 8 mm3
    assert all(side.name in said for side in SIDES)
    assert "10 mm" in said
    assert "No lesion" not in said


def test_nothing_of_the_focus_is_said(drawn, tmp_path: Path) -> None:
    image, labels = chest()
    only_lung = np.where(labels, 2, 0).astype(np.uint8)
    draw_preview(tmp_path / "a.png", image, only_lung, table=TABLE, look=LOOK, organ=LUNG)
    assert "No lesion marked." in drawn.texts
    draw_preview(tmp_path / "b.png", image, labels * 0, table=TABLE, look=LOOK, organ=LUNG)
    assert "No lesion marked." in drawn.texts
    assert any("inside the outline of the body" in text for text in drawn.texts)


def test_many_labels_fit_and_the_rest_is_counted(drawn, tmp_path: Path) -> None:
    image, labels = chest()
    labels[:, :, 0] = 4 + np.arange(labels[:, :, 0].size).reshape(labels.shape[:2]) % 20
    table = LabelTable((*TABLE, *(Label(v, f"part {v}", (9, 9, 9)) for v in range(4, 24))))
    draw_preview(tmp_path / "a.png", image, labels, table=table, look=Look((-1350.0, 150.0)))
    assert "and 11 more labels" in drawn.texts  # 23, of which 12 are listed


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_slices_are_enough(axis: int, tmp_path: Path) -> None:
    image, labels = chest()
    thin = [slice(None)] * 3
    thin[axis] = slice(5, 7)
    image = replace(image, array=image.array[tuple(thin)])
    draw_preview(tmp_path / "a.png", image, labels[tuple(thin)], table=TABLE, look=LOOK, organ=LUNG)
    assert (tmp_path / "a.png").is_file()


def test_the_same_voxels_stored_otherwise_give_the_same_picture(tmp_path: Path) -> None:
    image, labels = chest()
    affine = LPS.copy()
    affine[:3, 3] += affine[:3, 1] * (labels.shape[1] - 1)
    affine[:3, 1] *= -1
    turned = Image(image.array[:, ::-1].transpose(2, 0, 1), affine[:, [2, 0, 1, 3]], image.path)
    for name, given, mask in (
        ("a", image, labels),
        ("b", turned, labels[:, ::-1].transpose(2, 0, 1)),
    ):
        draw_preview(tmp_path / f"{name}.png", given, mask, table=TABLE, look=LOOK, organ=LUNG)
    a, b = (imread(tmp_path / f"{name}.png") for name in "ab")
    np.testing.assert_allclose(a, b, atol=2 / 255)


def test_shapes_that_differ(tmp_path: Path) -> None:
    image, labels = chest()
    with pytest.raises(ValueError, match="give a mask on the image's grid"):
        draw_preview(tmp_path / "a.png", image, labels[1:], table=TABLE, look=LOOK)


def test_the_phantom_chest(tmp_path: Path) -> None:
    made = tiny_chest(noise_hu=5)
    image = Image(made.ct.astype(np.float32), made.affine, Path("chest.nii.gz"))
    draw_preview(tmp_path / "a.png", image, made.labels, table=TABLE, look=LOOK, organ=LUNG)
    assert imread(tmp_path / "a.png")[..., :3].max() > 0.5
