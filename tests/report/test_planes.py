# SPDX-License-Identifier: Apache-2.0
"""Planes: where a slice lies in mm, how high its panel is, how long its scale bar."""

import itertools

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.path import Path

from medvol.report.figure import Page
from medvol.report.planes import FEET_HEAD, TALLEST, Cutter, Plane, draw_plane, join_boxes, outline
from medvol.report.views import lps_view


def plane(rows: int, columns: int, pixel_mm: tuple[float, float], letters: str = "RLAP") -> Plane:
    nothing = np.zeros((rows, columns))
    captions = "a place", "1 / 1"
    return Plane(nothing.astype(np.float32), nothing.astype(np.uint8), pixel_mm, letters, captions,
                 (0.0, 1.0))  # fmt: skip


def test_height_of_a_panel_is_limited() -> None:
    assert plane(10, 20, (3.0, 2.0)).size_mm == (40, 30)
    assert plane(10, 20, (3.0, 2.0)).height == 0.75
    assert plane(12, 10, (1.0, 1.0)).height == 1.2
    assert plane(13, 10, (1.0, 1.0)).height == TALLEST == 1.25


def test_place_of_an_oblique_slice_is_that_of_its_centre() -> None:
    turn = np.radians(20)
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    affine[1:3, 1:3] = [[-np.cos(turn), -5 * np.sin(turn)], [-np.sin(turn), 5 * np.cos(turn)]]
    labels = np.zeros((5, 7, 4), np.uint8)
    whole = slice(0, None), slice(0, None), slice(0, None)
    cutter = Cutter(lps_view(labels.shape, affine), labels, labels, whole, (0.0, 1.0))
    z_mm = affine[2] @ [2, 3, 1, 1]  # middle of five, of seven, second slice
    assert cutter.plane(FEET_HEAD, 1).captions == (f"z {z_mm:.1f} mm", "2 / 4")
    assert f"{z_mm:.1f}" == "3.7"  # 5 cos 20° - 3 sin 20°


@pytest.mark.parametrize(
    ("columns", "bar"), [(200, "50 mm"), (333, "50 mm"), (334, "100 mm"), (3, None), (4, "1 mm")]
)
def test_the_longest_bar_that_fits_in_three_tenths_of_the_width(tmp_path, drawn, columns, bar):
    page = Page([1.0], 2)
    draw_plane(page.panel(0, 0), plane(columns, columns, (1.0, 1.0)), bar=True)
    draw_plane(page.panel(0, 1), plane(columns, columns, (1.0, 1.0), ""), bar=True)  # no mm known
    page.save(tmp_path / "a.png")
    assert [t for t in drawn.texts if t.endswith(" mm")] == ([bar] if bar else [])
    left, top, width, height = page.panel(0, 0).box
    row = imread(tmp_path / "a.png")[top + height - 14, left : left + width]
    length = int(bar.split()[0]) / columns * width if bar else 0
    assert (row.max(axis=-1) > 0.9).sum() == pytest.approx(length, abs=1)


def test_a_box_grows_to_hold_what_is_marked() -> None:
    box = slice(2, 5), slice(0, 4), slice(1, 3)
    marked = [np.array(x) for x in ([0, 1, 0, 0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0])]
    assert join_boxes(box, marked) == (slice(1, 7), slice(0, 4), slice(1, 3))


def test_an_outline_runs_around_each_part_and_each_hole() -> None:
    inside = np.zeros((9, 12), bool)
    inside[1:8, 2:9] = True
    inside[3:6, 4:7] = False
    inside[4, 11] = True  # a single pixel at the edge
    path = outline(inside)
    assert path is not None
    assert (path.codes == path.MOVETO).sum() == (path.codes == path.CLOSEPOLY).sum() == 3
    rows, columns = np.mgrid[:9, :12]
    middles = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
    turns = sum(part.contains_points(middles).astype(int) for part in _loops(path))
    assert np.array_equal(turns.reshape(9, 12) == 1, inside)
    assert outline(np.zeros((3, 3), bool)) is None


def _loops(path: Path) -> list[Path]:
    starts = [*np.flatnonzero(path.codes == path.MOVETO), len(path.codes)]
    return [Path(path.vertices[a:b]) for a, b in itertools.pairwise(starts)]
