# SPDX-License-Identifier: Apache-2.0
"""The overlay picture: radiological whatever the array's orientation, slices worth a look."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from medvol.bundle.spec import Window
from medvol.images.image import Image
from medvol.labels import Label, LabelTable
from medvol.report import overlay
from medvol.report.figure import Panel
from medvol.report.overlay import Look, draw_overlay, window_text
from medvol.report.planes import Plane
from medvol.report.views import lps_view
from medvol.spatial import orientation

LESION, LUNG = (255, 170, 60), (90, 170, 230)
TABLE = LabelTable((Label(1, "lesion", LESION), Label(2, "lung", LUNG)))
LOOK = Look((-1350.0, 150.0), (1,), title="phantom")
SOFT = Window("soft tissue", (-160.0, 240.0))
SHAPE, SPACING = (24, 20, 12), np.array([2.0, 3.0, 5.0])
LPS = np.diag([*(SPACING * [-1, -1, 1]), 1.0])
LPS[:3, 3] = (22.0, 30.0, -27.5)
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), *[(False, True)] * 3))


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """An LPS chest of blocks: lungs on both sides, one lesion in the right upper front."""
    volume = np.full(SHAPE, -1000.0, np.float32)
    volume[2:22, 3:17] = 40
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:10, 5:15, 1:11] = 2
    labels[14:20, 5:15, 1:11] = 2
    labels[5:8, 6:9, 7:10] = 1
    volume[labels == 2] = -850
    volume[labels == 1] = -500
    return volume, labels


def draw(
    path: Path, volume: np.ndarray, labels: np.ndarray, affine: np.ndarray = LPS, **words: Any
) -> None:
    image = Image(volume, affine, Path("ct.nii.gz"))
    draw_overlay(path, image, mask=labels, **{"table": TABLE, "look": LOOK, **words})


def turned(
    array: np.ndarray, affine: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels stored with other axes: the array and the affine that belongs to it."""
    new = affine.copy()
    for axis, flip in enumerate(flips):
        if flip:
            new[:3, 3] += new[:3, axis] * (array.shape[axis] - 1)
            new[:3, axis] *= -1
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    new[:3, :3] = new[:3, :3][:, list(order)]
    return np.ascontiguousarray(array[steps].transpose(order)), new


@pytest.mark.parametrize(("order", "a", "b", "c"), ORIENTATIONS)
def test_view_is_the_same_for_all_48_orientations(order, a: bool, b: bool, c: bool) -> None:
    labels = phantom()[1]
    array, affine = turned(labels, LPS, order, (a, b, c))
    view = lps_view(array.shape, affine)
    np.testing.assert_array_equal(view.of(array), labels)
    np.testing.assert_allclose(view.affine, LPS, atol=1e-12)
    assert view.spacing_mm == pytest.approx(SPACING)
    per_axis = [np.arange(n) for n in array.shape]
    assert [len(x) for x in view.along(per_axis)] == list(SHAPE)
    assert [bool(x[0]) for x in view.along(per_axis)] == list(view.flips)


@pytest.fixture(scope="module")
def reference_png(tmp_path_factory) -> np.ndarray:
    path = tmp_path_factory.mktemp("overlay") / "lps.png"
    draw(path, *phantom())
    return imread(path)


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (True, True, False)),
        ((2, 1, 0), (False, True, True)),
        ((1, 2, 0), (True, False, False)),
    ],
    ids=["RAS", "IAL", "PSR"],
)
def test_picture_is_the_same_pixel_for_pixel(
    request, tmp_path, reference_png: np.ndarray, order, flips
) -> None:
    volume, affine = turned(phantom()[0], LPS, order, flips)
    labels, _ = turned(phantom()[1], LPS, order, flips)
    assert orientation(affine) == request.node.callspec.id
    draw(tmp_path / "a.png", volume, labels, affine)
    np.testing.assert_array_equal(imread(tmp_path / "a.png"), reference_png)


def lesion_pixels(picture: np.ndarray) -> np.ndarray:
    """(row, column) of pixels with the lesion's full colour, as its outlines have."""
    wanted = np.array(LESION) / 255
    return np.argwhere(np.abs(picture[..., :3] - wanted).max(axis=-1) < 0.02)


def test_patients_right_is_left_front_and_head_are_on_top(tmp_path, monkeypatch) -> None:
    panels: dict[tuple[int, int], Plane] = {}  # by row and column
    tops: dict[int, int] = {}
    original = overlay.draw_plane

    def draw_plane(panel: Panel, plane: Plane, **kind: Any) -> None:
        panels[tops.setdefault(panel.box[1], len(tops)), panel.box[0] // 390] = plane
        original(panel, plane, **kind)

    monkeypatch.setattr(overlay, "draw_plane", draw_plane)
    draw(tmp_path / "a.png", *phantom())
    assert [panels[1, c].captions for c in range(4)] == [  # z = 5 k - 27.5, from the head down
        ("z 17.5 mm", "10 / 12"),
        ("z 12.5 mm", "9 / 12"),
        ("z 7.5 mm", "8 / 12"),
        ("z −17.5 mm", "3 / 12"),  # far from the three that show the lesion
    ]
    assert panels[2, 0].captions == ("y 12.0 mm", "7 / 20")  # y = 30 - 3 k
    assert panels[2, 2].captions == ("x 12.0 mm", "6 / 24")  # x = 22 - 2 k
    expected = {
        (1, 0): ("RLAP", (3.0, 2.0)),
        (2, 1): ("RLSI", (5.0, 2.0)),
        (2, 2): ("APSI", (5.0, 3.0)),
    }
    for place, (letters, pixel_mm) in expected.items():
        plane = panels[place]
        assert plane.letters == letters
        assert plane.pixel_mm == pytest.approx(pixel_mm)
        row, column = np.argwhere(plane.labels == 1).mean(axis=0) / plane.labels.shape
        assert row < 0.4
        assert column < 0.4
        assert (plane.image[plane.labels == 1] == -500).all()


def test_lesion_is_painted_in_the_left_half_of_the_marked_panels_only(reference_png) -> None:
    assert reference_png.shape[1] == 1600
    rows, columns = lesion_pixels(reference_png).T
    third = 80 + (reference_png.shape[0] - 80 - 34) // 3  # below it the marked rows begin
    in_first = columns < 54 + 375  # the first panels are 375 pixels wide, beside the rows' titles
    assert in_first.sum() > 20
    assert columns[in_first].max() < 54 + 375 / 2
    assert rows.min() > third
    plain = reference_png[80:300, 54:429, :3]
    assert np.ptp(plain, axis=-1).max() < 0.1  # the upper row is grey, texts nearly so


def test_no_lesion_shows_the_middle_and_says_so(tmp_path, drawn) -> None:
    volume, labels = phantom()
    labels[labels == 1] = 2
    draw(tmp_path / "a.png", volume, labels)
    assert "No lesion marked; middle slices shown." in drawn.texts
    axial = ["10 / 12", "8 / 12", "6 / 12", "4 / 12"]
    assert [t for t in drawn.texts if t.endswith("/ 12")] == 2 * axial
    assert not [t for t in drawn.texts if t == "lesion"]  # the legend lists what is there
    assert "36.0 ml" in drawn.texts  # 2 x 6 x 10 x 10 voxels of 0.03 ml
    assert not lesion_pixels(imread(tmp_path / "a.png")).size


def test_of_a_part_nothing_is_said_of_the_rest(tmp_path, drawn) -> None:
    volume, labels = phantom()
    look = replace(LOOK, part_shown=True)
    draw(tmp_path / "a.png", volume, np.zeros_like(labels), look=look)
    assert "Nothing marked in the part shown; middle slices shown." in drawn.texts


def test_the_caption_says_level_width_and_how_askew_the_grid_is(tmp_path, drawn) -> None:
    assert window_text(Look((-160.0, 240.0)), LPS) == "level 40, width 400 HU"
    assert window_text(Look((0.0, 255.0), values="intensity"), LPS) == "level 128, width 255"
    turn, askew = np.radians(30), LPS.copy()
    askew[:2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]] @ LPS[:2]
    said = window_text(LOOK, askew)
    assert said == "level −600, width 1500 HU  ·  oblique grid, 30° from the body's axes"
    draw(tmp_path / "a.png", *phantom())
    assert "level −600, width 1500 HU" in drawn.texts
    assert [drawn.texts.count(letter) for letter in "RLAPSI"] == [10, 10, 9, 9, 3, 3]
    assert drawn.texts.count("10 mm") == 2  # a scale bar for the axial row and one for the coronal


def test_empty_mask_few_slices_and_names_in_any_script(tmp_path) -> None:
    names = ("磨玻璃影", "$x_1^ \\alpha", "line\nbreak \udcff")
    table = LabelTable(tuple(Label(i, name, LESION) for i, name in enumerate(names, 1)))
    labels = np.zeros((9, 9, 2), np.uint8)
    volume = np.full(labels.shape, -1000.0)
    look = Look((-160.0, 240.0), title="病例 $")
    draw(tmp_path / "empty.png", volume, labels, np.eye(4), table=table, look=look)
    labels[4, 4, 0] = labels[8, 8, 1] = 1
    labels[0, 0, 1] = 3
    labels[2:4, 2, 0] = 2
    draw(tmp_path / "full.png", volume, labels, np.eye(4), table=table, look=look)
    assert imread(tmp_path / "full.png").shape == imread(tmp_path / "empty.png").shape


def test_the_second_window_has_a_row_of_its_own(tmp_path, drawn) -> None:
    for name, look in (("one", LOOK), ("two", replace(LOOK, second=SOFT))):
        draw(tmp_path / f"{name}.png", *phantom(), look=look)
    one, two = (imread(tmp_path / f"{name}.png").shape[0] for name in ("one", "two"))
    assert two - one == pytest.approx(1.25 * 375.5 + 8, abs=1)  # a panel and a gap, in pixels
    assert {"plain", "marked", "soft tissue"} <= set(drawn.texts)
    assert "level −600, width 1500 HU · soft tissue: level 40, width 400 HU" in drawn.texts
    assert [t for t in drawn.texts if t.endswith("/ 12")] == 3 * [
        "10 / 12", "9 / 12", "8 / 12", "3 / 12"
    ]  # fmt: skip


def test_the_second_window_is_that_of_its_planes_only(tmp_path, monkeypatch) -> None:
    shown: list[tuple[tuple[float, float], bool]] = []

    def draw_plane(*panel: Any, paint: Any = None, **_: Any) -> None:
        plane: Plane = panel[1]
        assert plane.image.min() >= plane.window_hu[0]
        assert plane.image.max() <= plane.window_hu[1]
        shown.append((plane.window_hu, paint is not None))

    monkeypatch.setattr(overlay, "draw_plane", draw_plane)
    draw(tmp_path / "a.png", *phantom(), look=replace(LOOK, second=SOFT))
    lung = LOOK.window_hu
    assert shown == [
        *4 * [(lung, False)], *4 * [(lung, True)], *4 * [(SOFT.hu, False)],
        (lung, False), (lung, True), (lung, True),
    ]  # fmt: skip


def test_a_single_slice_is_a_row_with_both_windows(tmp_path, drawn) -> None:
    volume, labels = phantom()
    look = replace(LOOK, second=SOFT)
    draw(tmp_path / "a.png", volume[:, :, 8:9], labels[:, :, 8:9], look=look)
    assert drawn.texts.count("1 / 1") == 3
    assert "18.0 ml" not in drawn.texts
    assert "0.27 ml" in drawn.texts  # 3 x 3 voxels of 0.03 ml


def test_flat_stacks_leave_room_for_the_legend(tmp_path, drawn) -> None:
    volume, labels = phantom()
    affine = LPS.copy()
    affine[2, 2] = 0.1  # 12 slices are 1.2 mm
    draw(tmp_path / "a.png", volume, np.where(labels, 2, 0).astype(np.uint8), affine)
    remark, notice = (
        next(x for x in drawn.written if x.text.startswith(words))
        for words in ("No lesion marked", "Research use only")
    )
    assert remark.y + 15 < notice.y


def test_refusals() -> None:
    with pytest.raises(ValueError, match="empty"):
        Look((150.0, -1350.0))
    volume, labels = phantom()
    with pytest.raises(ValueError, match="grid"):
        draw(Path("never.png"), volume[1:], labels)
