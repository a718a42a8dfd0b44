# SPDX-License-Identifier: Apache-2.0
"""The sheet: what is drawn lies where it should, and its PNG is what was drawn."""

import io

import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image

from medvol.report.canvas import Canvas, png, resized

PAPER, WHITE = (12, 14, 17), (255, 255, 255)


def lit(canvas: Canvas) -> tuple[int, int, int, int]:
    """First and last column, first and last row of what is brighter than the paper."""
    rows, columns = np.nonzero(canvas.pixels[..., :3].max(axis=-1) > 100)
    return columns.min(), columns.max(), rows.min(), rows.max()


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (40, 30)])
def test_a_png_holds_every_pixel(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    picture[shape[0] // 2 :] = np.arange(shape[1])[:, None]  # smooth: the other filter
    data = png(picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
    assert png(picture.copy()) == data


def test_a_smooth_picture_is_packed_well() -> None:
    slope = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert len(png(np.repeat(slope, 100, axis=0))) < 1000  # of 60,000 bytes


def test_pictures_and_shapes_lie_where_they_are_put() -> None:
    canvas = Canvas(50, 40)
    assert canvas.pixels.shape == (40, 50, 4)
    assert canvas.pixels[0, 0].tolist() == [*PAPER, 255]
    canvas.paste(np.full((3, 4), 200, np.uint8), 10, 20)
    assert lit(canvas) == (10, 13, 20, 22)
    canvas.rectangle(5, 6, 30, 3, face="white")
    assert lit(canvas) == (5, 34, 6, 22)
    assert canvas.pixels[7, 20, :3].tolist() == [*WHITE]


@pytest.mark.parametrize(("left", "top"), [(47, 0), (-1, 0), (0, 38), (0, -1)])
def test_a_picture_beyond_the_edge_is_refused(left: int, top: int) -> None:
    canvas, picture = Canvas(50, 40), np.full((3, 4), 200, np.uint8)
    with pytest.raises(ValueError, match=rf"4 x 3 pixels at \({left}, {top}\) .* of 50 x 40"):
        canvas.paste(picture, left, top)
    for corner in ((46, 0), (0, 37)):
        canvas.paste(picture, *corner)


def test_nothing_is_drawn_beyond_a_box() -> None:
    canvas, whole = Canvas(50, 40), [(0, 0), (50, 0), (50, 40), (0, 40), (0, 0)]
    canvas.path(Path(whole, closed=True), face="white", inside=(7, 9, 20, 11))
    assert lit(canvas) == (7, 26, 9, 19)


def test_a_hole_stays_open() -> None:
    canvas = Canvas(50, 40)
    ring = [(10, 10), (40, 10), (40, 30), (10, 30), (10, 10),
            (20, 15), (20, 25), (30, 25), (30, 15), (20, 15)]  # fmt: skip
    codes = 2 * [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    canvas.path(Path(ring, codes), face=(1, 1, 1, 0.5))
    assert canvas.pixels[20, 25, :3].tolist() == [*PAPER]
    half = (np.array(PAPER) + 255) / 2
    assert canvas.pixels[20, 15, :3] == pytest.approx(half, abs=1)


@pytest.mark.parametrize("outlined", [False, True])
def test_text_begins_ends_or_has_its_middle_where_it_is_said(outlined: bool) -> None:
    places = {}
    for ha in ("left", "center", "right"):
        canvas = Canvas(200, 60)
        canvas.text(100, 30, "HHHH", ha=ha, outlined=outlined, color="white")
        places[ha] = lit(canvas)
    assert places["left"][0] == pytest.approx(101, abs=2)
    assert places["right"][1] == pytest.approx(99, abs=2)
    assert sum(places["center"][:2]) / 2 == pytest.approx(100, abs=1.5)
    assert sum(places["left"][2:]) / 2 == pytest.approx(30, abs=2)


def test_text_is_read_upward() -> None:
    canvas = Canvas(60, 200)
    canvas.text(30, 100, "HHHH", upward=True, ha="center")
    left, right, top, bottom = lit(canvas)
    assert (left + right) / 2 == pytest.approx(30, abs=2)
    assert (top + bottom) / 2 == pytest.approx(100, abs=2)
    assert bottom - top > 3 * (right - left)


def test_an_outlined_text_is_read_on_white() -> None:
    canvas = Canvas(60, 40)
    canvas.paste(np.full((40, 60), 255, np.uint8), 0, 0)
    canvas.text(20, 20, "H", color="white", outlined=True)
    assert canvas.pixels[..., 0].min() < 40


def test_no_text_and_letters_of_no_font() -> None:
    canvas = Canvas(60, 40)
    canvas.text(20, 20, "")
    assert (canvas.pixels[..., :3] == PAPER).all()
    canvas.text(20, 20, "$\\ue123_{")  # nothing of it is a formula
    assert (canvas.pixels[..., :3] != PAPER).any()


def test_a_picture_is_resized_smoothly() -> None:
    edge = np.repeat(np.array([[0, 0, 0, 255, 255, 255]], np.uint8), 4, axis=0)
    larger = resized(edge, 24, 16)
    assert larger.shape == (16, 24)
    assert (larger[:, :8] <= 2).all()
    assert (larger[:, 16:] >= 253).all()
    assert (np.diff(larger[0, 8:16].astype(int)) >= 0).all()
    fine = np.indices((40, 40)).sum(axis=0) % 2 * 255
    assert np.ptp(resized(fine.astype(np.uint8), 10, 10)[2:-2, 2:-2].astype(int)) < 8
    assert resized(edge, 6, 4) is edge
