# SPDX-License-Identifier: Apache-2.0
"""Pictures of a batch: each in its place with its grey values, labels and a frame for errors."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from medvol.report.batch import COLUMNS, Tile, draw_batch
from medvol.report.figure import GAP, HEADER, MARGIN, WIDTH

CELL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
RED = (220, 30, 30)
FRAME_RGB = (255, 212, 121)


def drawn(path: Path, tiles: list[Tile], **words: object) -> npt.NDArray[np.uint8]:
    draw_batch(path, tiles, "title", **words)  # type: ignore[arg-type]
    return np.asarray(Image.open(path).convert("RGB"))


def middle(page: npt.NDArray[np.uint8], row: int, column: int) -> npt.NDArray[np.uint8]:
    """The pixels in the middle of a square picture."""
    y, x = (round(HEADER + (row + 0.5) * CELL + row * GAP),
            round(MARGIN + (column + 0.5) * CELL + column * GAP))  # fmt: skip
    return page[y - 20 : y + 20, x - 20 : x + 20]


def square(inside: float) -> npt.NDArray[np.float64]:
    """(16, 16) from 0 to 10, with one value in the middle."""
    values = np.tile([0.0, 10.0], (16, 8))
    values[4:12, 4:12] = inside
    return values


def test_pictures_stand_in_rows_in_their_order(tmp_path: Path) -> None:
    tiles = [Tile(square(value), "a") for value in (0, 10, 0, 10, 5)]
    page = drawn(tmp_path / "a.png", tiles)
    assert page.shape[1] == WIDTH
    assert page.shape[0] == pytest.approx(HEADER + 2 * CELL + GAP + 34, abs=2)
    means = [middle(page, *place).mean() for place in ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0))]
    assert means == pytest.approx([0, 255, 0, 255, 127], abs=4)


def test_labels_are_tinted_in_their_colours(tmp_path: Path) -> None:
    labels = np.zeros((16, 16), np.int64)
    labels[4:12, 4:12] = 2
    tiles = [Tile(square(5), "a", labels), Tile(square(5), "b", np.zeros_like(labels))]
    page = drawn(tmp_path / "a.png", tiles, colors={2: ("lung", RED)})
    red, green, _ = middle(page, 0, 0).reshape(-1, 3).mean(0)
    assert red > green + 20  # 30 % of red over grey
    red, green, _ = middle(page, 0, 1).reshape(-1, 3).mean(0)
    assert red == pytest.approx(green, abs=1)


@pytest.mark.parametrize("wrong", [True, False])
def test_an_error_has_a_frame(tmp_path: Path, wrong: bool) -> None:
    page = drawn(tmp_path / "a.png", [Tile(square(0), "a", wrong=wrong)])
    edge = page[HEADER + 40 : HEADER + 300, MARGIN - 2 : MARGIN + 3].reshape(-1, 3)
    assert (np.abs(edge.astype(int) - FRAME_RGB).max(1) < 10).any() == wrong


def test_a_picture_of_one_value_and_a_caption_of_any_length_are_drawn(tmp_path: Path) -> None:
    page = drawn(tmp_path / "a.png", [Tile(np.ones((4, 9)), "名" * 400)])
    assert page.shape[0] == pytest.approx(HEADER + CELL * 4 / 9 + 34, abs=2)


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no picture"):
        draw_batch(tmp_path / "a.png", [], "title")
