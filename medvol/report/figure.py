# SPDX-License-Identifier: Apache-2.0
"""The base of all pictures: a dark page of panels, and texts in any script."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from ..files import replacing
from ..text import NOTICE

Color = tuple[int, int, int]
Picture = npt.NDArray[np.floating[Any]]
WIDTH, MARGIN, GAP, HEADER, FOOTER = 1600, 20, 8, 80, 34  # pixels
GUTTER = 34  # pixels beside the panels, for the titles of rows
LINE, TITLED, CHIP = 30, 180, 28  # pixels of a line of the legend, of its title, of a colour
DPI = 100
PNG_LEVEL = 2  # of zlib; the usual 6 takes three times as long and saves a fifth
BACKGROUND, TEXT, DIM, NOTED = "#0c0e11", "#eceff3", "#a3abb6", "#ffd479"
HATCH_ALPHA = 0.8
TITLE_LETTERS, SUBTITLE_LETTERS = 90, 180  # on a page 1600 pixels wide
PIXELS_A_LETTER = 9.5  # of the usual size
MISSING = "□"
FAMILY = "DejaVu Sans"  # ships with matplotlib
HELPERS = (  # common families with East Asian letters, used when installed
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
)


class LegendLine(NamedTuple):
    """A line of a legend: colour, name, amount in words, and a pattern over the colour."""

    color: Color
    name: str
    amount: str = ""
    hatch: str | None = None


class Page:
    """A dark page: title, rows of panels, room around them for legends, footer.

    Args:
        heights: height over width of the panels of each row, from the top; factors above 0.
        columns: panels in a row.
        width: of the page in pixels.
        left: pixels beside the panels, for titles of rows.
        right: pixels beside the panels, for a colour bar.
        below: pixels below the panels, for a legend.
    """

    def __init__(
        self,
        heights: Sequence[float],
        columns: int,
        *,
        width: int = WIDTH,
        left: int = 0,
        right: int = 0,
        below: int = 0,
    ) -> None:
        self.width = width
        self.cell = (width - 2 * MARGIN - left - right - (columns - 1) * GAP) / columns
        tall = [self.cell * height for height in heights]
        page = HEADER + sum(tall) + (len(tall) - 1) * GAP + below + FOOTER
        self.height = round(page)
        self.figure = Figure(
            figsize=(width / DPI, self.height / DPI), dpi=DPI, facecolor=BACKGROUND
        )
        self.paper = self.figure.add_axes((0, 0, 1, 1))  # in pixels from the upper left
        self.paper.set(xlim=(0, width), ylim=(self.height, 0))
        self.paper.set_axis_off()
        self.grid = self.figure.add_gridspec(
            len(tall), columns, height_ratios=tall,
            left=(MARGIN + left) / width, right=1 - (MARGIN + right) / width,
            top=1 - HEADER / page, bottom=(below + FOOTER) / page,
            wspace=GAP / self.cell, hspace=GAP * len(tall) / sum(tall),
        )  # fmt: skip

    def title(self, title: str, subtitle: str = "") -> None:
        """Write the title, and a smaller and dimmer line below it."""
        room = self.width / WIDTH
        self.text(MARGIN, 27, short(title, int(TITLE_LETTERS * room)), size=17, weight="bold")
        self.text(MARGIN, 58, short(subtitle, int(SUBTITLE_LETTERS * room)), color=DIM)

    def panel(self, row: int, column: int) -> Axes:
        """Black axes without ticks, for `show`."""
        axes = self.figure.add_subplot(self.grid[row, column], facecolor="black")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes on any rectangle: `left`, `top`, `width` and `height` in pixels of the page."""
        bottom = 1 - (top + height) / self.height
        rectangle = (left / self.width, bottom, width / self.width, height / self.height)
        return self.figure.add_axes(rectangle)

    def place(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of a panel in pixels."""
        box = self.grid[row, column].get_position(self.figure)
        left, top = box.x0 * self.width, (1 - box.y1) * self.height
        return left, top, box.width * self.width, box.height * self.height

    def row_title(self, row: int, title: str) -> None:
        """A title beside a row, read from the bottom to the top."""
        left, top, _, height = self.place(row, 0)
        style: dict[str, Any] = {"rotation": 90, "ha": "center", "weight": "bold"}
        self.text((MARGIN + left) / 2, top + height / 2, title, **style)

    def legend(
        self, lines: Sequence[LegendLine], top: float, *, left: float = MARGIN,
        width: float | None = None, columns: int = 1, title: str = "",
    ) -> float:  # fmt: skip
        """Write colours, names and amounts; in a single column the amounts end below each other.

        Args:
            lines: what the colours mean.
            top, left: pixels from the upper left of the page to the legend.
            width: in pixels; None up to the right margin.
            columns: entries beside each other.
            title: in front of the lines; every legend with one begins at the same place.

        Returns:
            Where the legend ends, in pixels from the top of the page.
        """
        width = self.width - MARGIN - left if width is None else width
        if title:
            self.text(left, top + LINE / 2, title, color=DIM)
            left, width = left + TITLED, width - TITLED
        step = (width - (columns - 1) * CHIP) / columns
        for index, line in enumerate(lines):
            x = left + index % columns * (step + CHIP)
            y = top + LINE * (index // columns + 0.5)
            rgb = line.color[0] / 255, line.color[1] / 255, line.color[2] / 255
            self._chip(x, y, fc=(*rgb, 0.55), ec=rgb, lw=1.5)
            if line.hatch is not None:
                self._chip(x, y, fc="none", ec=(0, 0, 0, HATCH_ALPHA), lw=0, hatch=line.hatch)
            name = short(line.name, int((step - CHIP) / PIXELS_A_LETTER) - len(line.amount))
            if columns == 1:
                self.text(x + step, y, line.amount, ha="right")
            else:
                name = f"{name}  {line.amount}"
            self.text(x + CHIP, y, name)
        return top + LINE * max(1, -(-len(lines) // columns))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write `text` at `x` and `y`, pixels from the upper left; `style` as in matplotlib."""
        settings = {"size": 11, "color": TEXT, "va": "center", **style}
        self.paper.text(x, y, **words(text), **settings)

    def save(self, path: str | os.PathLike[str], *, remark: str = "", color: str = DIM) -> None:
        """Write the PNG, whole or not at all.

        Args:
            path: of the file.
            remark: how to look at the picture, in the footer.
            color: of the remark.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        y = self.height - FOOTER / 2 + 2
        self.text(MARGIN, y, remark, size=9, color=color)
        self.text(self.width - MARGIN, y, NOTICE, size=9, color=DIM, ha="right")
        save_figure(self.figure, path)

    def _chip(self, x: float, y: float, **style: Any) -> None:
        self.paper.add_patch(Rectangle((x, y - 8), 16, 16, **style))


def show(axes: Axes, picture: Picture, size: tuple[float, float], **style: Any) -> None:
    """Show a picture in the middle of a panel, as large as the panel allows.

    Args:
        axes: the panel.
        picture: (rows, columns), or (rows, columns, 3) for colours.
        size: width and height in any unit, such as mm; the panel's coordinates count in it, from
            the picture's upper left corner.
        style: as for matplotlib's `imshow`.
    """
    (width, height), (across, down) = size, axes.bbox.size
    axes.imshow(picture, extent=(0, width, height, 0), aspect="auto", **style)
    scale = max(width / across, height / down)
    left, top = (width - across * scale) / 2, (height - down * scale) / 2
    axes.set(xlim=(left, width - left), ylim=(height - top, top))


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    with replacing(path) as temporary:
        packed = {"compress_level": PNG_LEVEL}
        FigureCanvasAgg(figure).print_png(str(temporary), pil_kwargs=packed)


def outlined() -> dict[str, Any]:
    """Style of a text that is read on any grey."""
    shadow = [withStroke(linewidth=2.5, foreground="black")]
    return {"color": TEXT, "size": 10, "path_effects": shadow}


def short(text: str, letters: int) -> str:
    """The text, cut to so many letters where it has more.

    Example:
        >>> short("ground-glass", 12), short("ground-glass", 7)
        ('ground-glass', 'ground…')
    """
    return text if len(text) <= letters else text[: max(0, letters - 1)] + "…"


def words(text: str) -> dict[str, Any]:
    """What to give to matplotlib's `text` so that any letters are shown, and none as a formula."""
    return {"s": drawable(text), "family": list(families()), "parse_math": False}


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Font families to give to matplotlib; the first that has a letter draws it."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FAMILY, *(name for name in HELPERS if name in installed))


def drawable(text: str) -> str:
    """The text on one line, with a box in place of every letter that no font here has.

    Example:
        >>> drawable("lung\\n\\ue000")
        'lung □'
    """
    line = " ".join(text.split())
    return "".join(c if ord(c) in _letters() else MISSING for c in line)


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    letters: set[int] = set()
    for family in families():
        font = font_manager.get_font(font_manager.findfont(family))
        letters.update(font.get_charmap())
    return frozenset(letters)
