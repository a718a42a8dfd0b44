# SPDX-License-Identifier: Apache-2.0
"""The base of all pictures: a dark page of panels with titles and legends, and a figure as PNG."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..files import replacing
from ..text import NOTICE
from .canvas import DPI, TEXT, Box, Canvas, png, resized

Color = tuple[int, int, int]
Picture = npt.NDArray[np.floating[Any]]
WIDTH, MARGIN, GAP, HEADER, FOOTER = 1600, 20, 8, 80, 34  # pixels
GUTTER = 34  # pixels beside the panels, for the titles of rows
LINE, TITLED, CHIP = 30, 180, 28  # pixels of a line of the legend, of its title, of a colour
DIM, NOTED = "#a3abb6", "#ffd479"
HATCH_ALPHA = 0.8
TITLE_LETTERS, SUBTITLE_LETTERS = 90, 180  # on a page 1600 pixels wide
PIXELS_A_LETTER = 9.5  # of the usual size


class LegendLine(NamedTuple):
    """A line of a legend: colour, name, amount in words, and a pattern over the colour."""

    color: Color
    name: str
    amount: str = ""
    hatch: str | None = None


@dataclass
class Panel:
    """A black part of a page for one picture.

    Args:
        canvas: that it is drawn on.
        box: its place.
        corner: upper left corner of the picture that `show` laid there, in pixels of the page.
        scale: pixels a unit of the picture's size, across and down.
    """

    canvas: Canvas
    box: Box
    corner: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)


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
        self.width, self.left, self.columns = width, MARGIN + left, columns
        self.cell = (width - 2 * MARGIN - left - right - (columns - 1) * GAP) / columns
        self.tall = [self.cell * height for height in heights]
        self.height = round(HEADER + sum(self.tall) + (len(heights) - 1) * GAP + below + FOOTER)
        self.canvas = Canvas(width, self.height)

    def title(self, title: str, subtitle: str = "") -> None:
        """Write the title, and a smaller and dimmer line below it."""
        room = self.width / WIDTH
        self.text(MARGIN, 27, short(title, int(TITLE_LETTERS * room)), size=17, weight="bold")
        self.text(MARGIN, 58, short(subtitle, int(SUBTITLE_LETTERS * room)), color=DIM)

    def panel(self, row: int, column: int) -> Panel:
        """A panel for `show`, still black."""
        left, top, width, height = self.place(row, column)
        x, y = round(left), round(top)
        box = x, y, round(left + width) - x, round(top + height) - y
        self.canvas.paste(np.zeros((box[3], box[2]), np.uint8), x, y)
        return Panel(self.canvas, box)

    def place(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of a panel in pixels; -1 is the last row or column."""
        row, column = row % len(self.tall), column % self.columns
        top = HEADER + sum(self.tall[:row]) + row * GAP
        return self.left + column * (self.cell + GAP), top, self.cell, self.tall[row]

    @cached_property
    def figure(self) -> Figure:
        """A figure of matplotlib as large as the page, for plots; drawn over it at the end."""
        size = self.width / DPI, self.height / DPI
        return Figure(figsize=size, dpi=DPI, facecolor="none")

    def axes(self, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
        """Axes of matplotlib on any rectangle.

        Args:
            left, top, width, height: in pixels of the page.
            options: as for matplotlib's axes.
        """
        bottom = 1 - (top + height) / self.height
        rectangle = (left / self.width, bottom, width / self.width, height / self.height)
        return self.figure.add_axes(rectangle, **options)

    def row_title(self, row: int, title: str) -> None:
        """A title beside a row, read from the bottom to the top."""
        left, top, _, height = self.place(row, 0)
        self.text(
            (MARGIN + left) / 2, top + height / 2, title, upward=True, ha="center", weight="bold"
        )

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
            self._chip(x, y, face=(*rgb, 0.55), edge=rgb, line=1.5)
            if line.hatch is not None:
                self._chip(x, y, edge=(0, 0, 0, HATCH_ALPHA), hatch=line.hatch)
            name = short(line.name, int((step - CHIP) / PIXELS_A_LETTER) - len(line.amount))
            if columns == 1:
                self.text(x + step, y, line.amount, ha="right")
            else:
                name = f"{name}  {line.amount}"
            self.text(x + CHIP, y, name)
        return top + LINE * max(1, -(-len(lines) // columns))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write `text` at `x` and `y`, pixels from the upper left; `style` as for `Canvas.text`."""
        self.canvas.text(x, y, text, **style)

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
        if "figure" in vars(self):
            self.canvas.figure(self.figure)
        self.canvas.save(path)

    def _chip(self, x: float, y: float, **style: Any) -> None:
        self.canvas.rectangle(x, y - 8, 16, 16, **style)


def show(
    panel: Panel, picture: Picture, size: tuple[float, float], *, window: tuple[float, float]
) -> None:
    """Show a picture in the middle of a panel, as large as the panel allows.

    Args:
        panel: of a page.
        picture: (rows, columns), or (rows, columns, 3) for colours.
        size: width and height in any unit, such as mm; the panel counts in it from now on, from the
            picture's upper left corner.
        window: black and white, in the picture's values; any range that is not empty.
    """
    (width, height), (left, top, across, down) = size, panel.box
    scale = min(across / width, down / height)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    low, high = window
    grey = ((picture - low) * (255 / (high - low))).clip(0, 255).round().astype(np.uint8)
    panel.corner = left + (across - columns) // 2, top + (down - rows) // 2
    panel.scale = columns / width, rows / height
    panel.canvas.paste(resized(grey, columns, rows), *panel.corner)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with replacing(path) as temporary:
        temporary.write_bytes(png(np.asarray(canvas.buffer_rgba())[:, :, :3]))


def outlined() -> dict[str, Any]:
    """Style of a text in matplotlib's axes that is read on any grey."""
    shadow = [withStroke(linewidth=2.5, foreground="black")]
    return {"color": TEXT, "size": 10, "path_effects": shadow}


def short(text: str, letters: int) -> str:
    """The text, cut to so many letters where it has more.

    Example:
        >>> short("ground-glass", 12), short("ground-glass", 7)
        ('ground-glass', 'ground…')
    """
    return text if len(text) <= letters else text[: max(0, letters - 1)] + "…"
