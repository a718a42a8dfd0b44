# SPDX-License-Identifier: Apache-2.0
"""The picture of a map: plain on the left, coloured on the right where the map is high."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from medvol.errors import InputError
from medvol.report.attention_overlay import (
    GAP,
    HEADER,
    MARGIN,
    SCALE,
    WIDTH,
    Caption,
    draw_attention,
)

CAPTION = Caption("chest: pneumonia 0.97", "by Grad-CAM", "weight, of the highest")
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
