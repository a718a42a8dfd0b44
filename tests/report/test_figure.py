# SPDX-License-Identifier: Apache-2.0
"""The dark page: where its panels lie, and what its legend says."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from medvol.errors import InputError
from medvol.report.figure import LegendLine, Page, short, show

GREEN, RED, PAPER = (0, 200, 90), (220, 40, 40), (12, 14, 17)


def test_panels_fill_the_page_in_order(tmp_path: Path) -> None:
    page = Page([1.0, 0.5], 3, width=600, left=28, right=16, below=30)
    cell = (600 - 2 * 20 - 28 - 16 - 2 * 8) / 3
    assert page.cell == pytest.approx(cell)
    assert page.height == round(80 + 1.5 * cell + 8 + 30 + 34)
    assert page.place(0, 0) == pytest.approx((48, 80, cell, cell), abs=0.6)
    assert page.place(1, 2) == pytest.approx(
        (48 + 2 * (cell + 8), 80 + cell + 8, cell, cell / 2), abs=0.6
    )
    assert page.place(-1, -1) == page.place(1, 2)
    panel = page.panel(1, 2)
    show(panel, np.ones((4, 4)), (1, 1), window=(0, 1))  # as high as the panel, not as wide
    page.save(tmp_path / "a.png", remark="How to look at it.")
    picture = imread(tmp_path / "a.png")[..., :3]
    assert picture.shape[:2] == (page.height, 600)
    row = picture[round(80 + cell + 8 + cell / 4), round(48 + 2 * (cell + 8)) :][: int(cell)]
    bright = np.flatnonzero(row.min(axis=-1) > 0.9)
    assert len(bright) == pytest.approx(cell / 2, abs=2)
    assert bright.mean() == pytest.approx(cell / 2, abs=2)
    assert row[5].max() == 0  # black beside it


def test_a_title_that_is_too_long_is_cut(tmp_path: Path, drawn) -> None:
    page = Page([0.2], 1)
    page.title("a" * 91, "b" * 181)
    page.row_title(0, "row")
    page.save(tmp_path / "a.png")
    assert "a" * 89 + "…" in drawn.texts
    assert "b" * 179 + "…" in drawn.texts
    assert "Research use only. Not a medical device." in drawn.texts
    assert (short("ab", 2), short("abc", 2), short("abc", 0)) == ("ab", "a…", "…")


def test_legend_has_a_chip_and_a_pattern_a_line(tmp_path: Path, drawn) -> None:
    page = Page([0.2], 1, below=150)
    lines = [
        LegendLine(GREEN, "missed", "3.00 ml", "...."), LegendLine(RED, "n" * 99, "1.0 ml"),
        LegendLine(RED, "last"),
    ]  # fmt: skip
    assert page.legend(lines, 100, columns=2, title="both") == 100 + 2 * 30
    assert page.legend(lines, 160) == 160 + 3 * 30
    assert page.legend([], 250, title="none") == 250 + 30
    page.save(tmp_path / "a.png")
    picture = (imread(tmp_path / "a.png") * 255).round()
    second = 200 + (1380 - 28) / 2 + 28
    for left, top, color, hatched in (
        (200, 107, GREEN, True), (second, 107, RED, False), (200, 137, RED, False),
        (20, 167, GREEN, True), (20, 197, RED, False), (20, 227, RED, False),
    ):  # fmt: skip
        chip = picture[top + 4 : top + 13, int(left) + 4 : int(left) + 13]
        tinted = np.round(0.55 * np.array(color) + 0.45 * np.array(PAPER))
        inside = (np.abs(chip - tinted).max(axis=-1) <= 2).mean()
        assert (0.2 < inside < 0.95) if hatched else inside == 1, (left, top)
        outside = picture[top + 8, int(left) - 4]
        assert (np.abs(outside - PAPER) <= 1).all(), (left, top)
        assert (picture[top + 8, int(left)] == color).any(), (left, top)  # its edge
    assert "missed 3.00 ml" in drawn.texts  # beside each other
    assert {"missed", "3.00 ml", "last", "both"} <= set(drawn.texts)  # below each other
    assert max(len(text) for text in drawn.texts if text.startswith("nn")) < 99 + 99


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        Page([1.0], 1).save(tmp_path / "file" / "a.png")
    assert caught.value.code == "E_NOSPACE"
