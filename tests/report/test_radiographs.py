# SPDX-License-Identifier: Apache-2.0
"""Radiographs as pictures: maps coloured where they are high, tiles, samples of each class."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from class_phantoms import save_picture
from PIL import Image
from radiographs import made_radiograph

from medvol.errors import InputError
from medvol.report.figure import GAP, HEADER, MARGIN, WIDTH
from medvol.report.radiographs import (
    SCALE,
    Caption,
    draw_attention,
    draw_samples,
    radiograph_tile,
    small,
    with_heat,
)

CAPTION = Caption("chest: pneumonia 0.97", "by Grad-CAM", "share of the highest weight")
WIDE = (WIDTH - 2 * MARGIN - GAP - SCALE) / 2


def drawn(path: Path, grey: float, heat: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    draw_attention(path, np.full(heat.shape, grey, np.float32), heat, caption=CAPTION)
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int64)


def panels(picture: npt.NDArray[Any], rows: int, columns: int) -> list[npt.NDArray[Any]]:
    """The two panels, of which a margin of 6 pixels is left out."""
    tall = WIDE * rows / columns
    return [
        picture[HEADER + 6 : round(HEADER + tall) - 6, round(x) + 6 : round(x + WIDE) - 6]
        for x in (MARGIN, MARGIN + WIDE + GAP)
    ]


def colour(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """How far the channels of each pixel lie apart."""
    return part.max(-1) - part.min(-1)


@pytest.mark.parametrize("highest", [1.0, 0.01])
def test_only_where_the_map_is_high_there_is_colour(tmp_path: Path, highest: float) -> None:
    heat = np.zeros((20, 20), np.float32)
    heat[:10, :10] = highest
    picture = drawn(tmp_path / "out" / "overlay.png", 0.5, heat)
    assert picture.shape[1] == WIDTH
    plain, coloured = panels(picture, 20, 20)
    assert colour(plain).max() == 0
    assert abs(int(np.median(plain)) - 128) <= 1
    half, edge = round(WIDE / 2), round(WIDE / 20)
    assert colour(coloured[: half - edge, : half - edge]).min() > 20
    assert colour(coloured[half + edge :, half + edge :]).max() == 0
    assert colour(picture[HEADER:, -SCALE:]).max() > 100  # the legend


def test_a_map_of_zeros_says_so_and_has_no_legend(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.png", 0.5, np.zeros((20, 20), np.float32))
    assert all(colour(panel).max() == 0 for panel in panels(picture, 20, 20))
    assert colour(picture[HEADER:-40, -SCALE:]).max() < 10
    assert colour(picture[-34:, : WIDTH // 2]).max() > 50  # the remark is yellow


@pytest.mark.parametrize(("shape", "height"), [((40, 20), 1.6), ((20, 20), 1.0), ((5, 40), 0.5)])
def test_tall_and_wide_pictures_fit(tmp_path: Path, shape: tuple[int, int], height: float) -> None:
    picture = drawn(tmp_path / "a.png", 0.5, np.zeros(shape, np.float32))
    assert abs(picture.shape[0] - (HEADER + WIDE * height + 34)) <= 1


def test_refusals(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5), np.float32)
    with pytest.raises(ValueError, match=r"map has shape \(5, 4\) and the picture \(4, 5\)"):
        draw_attention(tmp_path / "a.png", pixels, pixels.T, caption=CAPTION)
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        draw_attention(tmp_path / "file" / "a.png", pixels, pixels, caption=CAPTION)
    assert caught.value.code == "E_NOSPACE"


def opened(tile: str) -> np.ndarray:
    head, _, data = tile.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.float64)


def test_tile_alone_and_beside_attention() -> None:
    pixels = np.float32(made_radiograph(1)) / 255
    plain = opened(radiograph_tile(pixels))
    assert plain.shape == (64, 64, 3)
    assert abs(plain[..., 0] - made_radiograph(1)).mean() < 6  # JPEG
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 1
    both = opened(radiograph_tile(pixels, heat))
    assert both.shape == (64, 128, 3)
    colour = both.max(2) - both.min(2)
    assert colour[:, :60].mean() < 8
    assert colour[2:8, 66:72].mean() > 40  # yellow where attention is
    assert colour[40:, 104:].mean() < 8


def test_heat_by_hand() -> None:
    grey = np.full((2, 2), 0.5, np.float32)
    assert with_heat(grey, np.zeros((1, 1))).tolist() == [[[0.5] * 3] * 2] * 2
    full = with_heat(grey, np.ones((1, 1)))[0, 0]
    brightest = np.array([0.988, 1.0, 0.645])  # the last colour of inferno
    assert full == pytest.approx(0.4 * 0.5 + 0.6 * brightest, abs=0.01)


def item(path, name):
    return {"image": str(path), "class": name, "case": path.stem}


def test_every_class_is_a_row(tmp_path):
    def half(name, seed):  # upper half black, lower half white
        path = save_picture(tmp_path / f"{name}{seed}.png", seed)
        Image.fromarray(np.repeat(np.uint8([[0], [255]]), 20, axis=0).repeat(40, axis=1)).save(path)
        return path

    items = [item(half("a", k), "a") for k in range(3)] + [item(half("b", 9), "b")]
    datalist = {"name": "made", "labels": {"0": "a", "1": "b"}, "training": items}
    draw_samples(datalist, tmp_path / "samples.png", columns=4)
    with Image.open(tmp_path / "samples.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    side = (1600 - 20 - 54 - 3 * 8) / 4
    assert pixels.shape == (round(80 + 2 * side + 8 + 34), 1600)
    for row, shown in enumerate((3, 1)):
        top = 80 + row * (side + 8)
        for column in range(4):
            centre = int(54 + column * (side + 8) + side / 2)
            upper, lower = (
                pixels[int(top + side * 0.3), centre],
                pixels[int(top + side * 0.7), centre],
            )
            assert (upper < 30, lower > 220) == (True, column < shown)


def test_without_training_pictures_others_are_shown(tmp_path):
    path = save_picture(tmp_path / "x.png", 1)
    datalist = {"labels": {"0": "a"}, "training": [], "test": [item(path, "a")]}
    draw_samples(datalist, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_read_leaves_no_page(tmp_path):
    datalist = {"labels": {"0": "a"}, "training": [item(tmp_path / "none.png", "a")]}
    with pytest.raises(InputError):
        draw_samples(datalist, tmp_path / "samples.png")
    assert list(tmp_path.iterdir()) == []


def test_large_pictures_are_averaged_down_and_small_ones_stay():
    picture = np.zeros((8, 4), np.float32)
    picture[0, 0] = 1.0
    assert small(picture, 4).tolist() == [[0.25, 0.0], *[[0.0, 0.0]] * 3]
    assert small(picture, 16).shape == (8, 4)
    assert small(np.zeros((3000, 2), np.float32), 240).shape == (240, 1)
