# SPDX-License-Identifier: Apache-2.0
"""The dark page: where its panels lie, what its legend says, and letters that no font has."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from medvol.errors import InputError
from medvol.report.figure import MISSING, LegendLine, Page, drawable, short, show

GREEN, RED = (0, 200, 90), (220, 40, 40)


def test_panels_fill_the_page_in_order(tmp_path: Path) -> None:
    page = Page([1.0, 0.5], 3, width=600, left=28, right=16, below=30)
    cell = (600 - 2 * 20 - 28 - 16 - 2 * 8) / 3
    assert page.cell == pytest.approx(cell)
    assert page.height == round(80 + 1.5 * cell + 8 + 30 + 34)
    assert page.place(0, 0) == pytest.approx((48, 80, cell, cell), abs=0.6)
    assert page.place(1, 2) == pytest.approx(
        (48 + 2 * (cell + 8), 80 + cell + 8, cell, cell / 2), abs=0.6
    )
    white = {"cmap": "gray", "vmin": 0, "vmax": 1}
    show(page.panel(1, 2), np.ones((4, 4)), (1, 1), **white)  # as high as the panel, not as wide
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
    chips = [p for p in page.paper.patches if isinstance(p, Rectangle)]
    assert [p.get_hatch() for p in chips] == [None, "....", None, None] * 2
    assert chips[0].get_facecolor() == pytest.approx((0, 200 / 255, 90 / 255, 0.55))
    assert chips[0].get_xy() == pytest.approx((200, 107))
    assert chips[2].get_xy() == pytest.approx((200 + (1380 - 28) / 2 + 28, 107))
    assert chips[3].get_xy() == pytest.approx((200, 137))
    assert "missed 3.00 ml" in drawn.texts  # beside each other
    assert {"missed", "3.00 ml", "last", "both"} <= set(drawn.texts)  # below each other
    assert max(len(text) for text in drawn.texts if text.startswith("nn")) < 99 + 99


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        Page([1.0], 1).save(tmp_path / "file" / "a.png")
    assert caught.value.code == "E_NOSPACE"


def test_drawable_replaces_only_what_no_font_has() -> None:
    assert drawable("Łuk µ ☃ \n end") == "Łuk µ ☃ end"
    assert drawable("a\ue123\udcff") == f"a{MISSING}{MISSING}"
