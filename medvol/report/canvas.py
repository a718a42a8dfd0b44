# SPDX-License-Identifier: Apache-2.0
"""A dark page of image panels, laid out in pixels and drawn with matplotlib."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from ..files import replacing
from .fonts import drawable, families

Color = tuple[int, int, int]
WIDTH, MARGIN, GAP, HEADER, FOOTER = 1600, 20, 8, 80, 34  # pixels
DPI = 100
TALLEST = 1.25  # height of a panel over its width; a taller plane is drawn smaller
BACKGROUND, TEXT, DIM, NOTICE = "#0c0e11", "#eceff3", "#a3abb6", "#ffd479"
FILL_ALPHA, OUTLINE_ALPHA, HATCH_ALPHA = 0.30, 0.75, 0.8
FOCUS_LINE, OTHER_LINE = 1.3, 0.9  # points
BAR_MM = (100, 50, 20, 10, 5, 2, 1)  # lengths of the scale bar, the first that fits
BAR_SHARE = 0.3  # of the panel's width
LEGEND_STEP = 30
KEY_COLUMNS, KEY_TITLE, KEY_ROOM = 3, 180, 12  # entries in a line, pixels of its title, and below
TITLE_LETTERS, NAME_LETTERS, KEY_LETTERS = 64, 28, 46
RADIOLOGICAL = "Radiological view: the patient's right is on the left. Slices count from the feet."


class Plane(NamedTuple):
    """One slice as it lies on the page.

    Args:
        image: (rows, columns) in HU, first row on top.
        labels: (rows, columns).
        pixel_mm: height and width of a pixel.
        letters: patient directions at the left, right, top and bottom edge, such as "RLAP"; ""
            where neither they nor the size in mm are known.
        captions: texts for the upper corners: place, number.
        window_hu: black and white.
    """

    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.integer[Any]]
    pixel_mm: tuple[float, float]
    letters: str
    captions: tuple[str, str]
    window_hu: tuple[float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height."""
        rows, columns = self.image.shape
        return columns * self.pixel_mm[1], rows * self.pixel_mm[0]


class LegendLine(NamedTuple):
    """A label of the legend: colour, name, amount in words."""

    color: Color
    name: str
    amount: str


class Paint(NamedTuple):
    """How labels are marked.

    Args:
        colors: of each value.
        filled: values that are tinted beside the outline.
        alpha: of the tint.
        hatches: value to matplotlib's pattern over the tint, for who does not tell the colours.
    """

    colors: Mapping[int, Color]
    filled: tuple[int, ...]
    alpha: float = FILL_ALPHA
    hatches: Mapping[int, str] = {}


class Canvas:
    """Rows of panels under a title, with room for a legend.

    Args:
        rows: a plane of each row, from the top; all planes of a row have one size.
        columns: panels in a row.
        gutter: pixels on the left for the titles of rows.
        strip: pixels below the rows for a key to the colours.
    """

    def __init__(
        self, rows: Sequence[Plane], *, columns: int, gutter: int = 0, strip: int = 0
    ) -> None:
        self.left = MARGIN + gutter
        self.strip = strip
        self.cell = (WIDTH - MARGIN - self.left - (columns - 1) * GAP) / columns
        self.heights = [self.cell * min(p.size_mm[1] / p.size_mm[0], TALLEST) for p in rows]
        panels = sum(self.heights) + (len(rows) - 1) * GAP
        self.height = round(HEADER + panels + strip + FOOTER)
        self.figure = Figure(
            figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor=BACKGROUND
        )
        FigureCanvasAgg(self.figure)

    def header(self, title: str, subtitle: str) -> None:
        """The title, and a smaller and dimmer line below it."""
        axes = self._axes(MARGIN, 0, WIDTH - 2 * MARGIN, HEADER)
        _text(axes, 0, 27, _short(title, TITLE_LETTERS), size=17, weight="bold", va="center")
        _text(axes, 0, 58, subtitle, color=DIM, va="center")

    def panel(self, row: int, column: int, plane: Plane, *, paint: Paint | None = None) -> None:
        """Draw a plane, plain or with its labels painted, as large as the cell allows."""
        x, y = self.left + column * (self.cell + GAP), self._top(row)
        height = self.heights[row]
        frame = self._axes(x, y, self.cell, height)
        frame.set_facecolor("black")
        frame.patch.set_visible(True)
        width_mm, height_mm = plane.size_mm
        scale = min(self.cell / width_mm, height / height_mm)
        wide, tall = width_mm * scale, height_mm * scale
        axes = self._axes(x + (self.cell - wide) / 2, y + (height - tall) / 2, wide, tall)
        axes.set(xlim=(0, width_mm), ylim=(height_mm, 0))
        low, high = plane.window_hu
        axes.imshow(
            plane.image,
            cmap="gray",
            vmin=low,
            vmax=high,
            extent=(0, width_mm, height_mm, 0),
            interpolation="bicubic",
            aspect="auto",
        )
        if paint is not None:
            for value in sorted(paint.colors, key=lambda v: v in paint.filled):  # tinted: on top
                _mark(axes, plane, value, paint)
        top = self._axes(x, y, self.cell, height)
        _edges(top, plane, self.cell, height)
        if plane.letters and column == 0 and (row == 0 or paint is None):
            _scale_bar(top, self.cell, height, pixels_per_mm=scale)

    def row_title(self, row: int, title: str) -> None:
        """A title in the gutter, read from the bottom to the top."""
        width, height = self.left - MARGIN, self.heights[row]
        axes = self._axes(MARGIN, self._top(row), width, height)
        style: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold"}
        _text(axes, width / 2, height / 2, title, rotation=90, **style)

    def key(
        self, groups: Mapping[str, Sequence[LegendLine]], *, hatches: Mapping[str, str]
    ) -> None:
        """Colours, names and amounts in the strip; each group starts a line of its own.

        Args:
            groups: title to what the colours mean; `key_height` says how much room they need.
            hatches: name of a line to the pattern of its colour.
        """
        top = self.height - FOOTER - self.strip
        axes = self._axes(MARGIN, top, WIDTH - 2 * MARGIN, self.strip)
        width, at = (WIDTH - 2 * MARGIN - KEY_TITLE) / KEY_COLUMNS, LEGEND_STEP * 0.7
        for title, lines in groups.items():
            _text(axes, 0, at, title, color=DIM, va="center")
            for index, line in enumerate(lines):
                x = KEY_TITLE + index % KEY_COLUMNS * width
                y = at + LEGEND_STEP * (index // KEY_COLUMNS)
                _chip(axes, x, y, line.color, hatch=hatches.get(line.name))
                text = _short(f"{line.name}  {line.amount}", KEY_LETTERS)
                _text(axes, x + 28, y, text, va="center")
            at += LEGEND_STEP * _lines(lines)

    def legend(self, lines: Sequence[LegendLine], remark: str, *, taken: int) -> None:
        """Colours, names and amounts where the last row is free; `remark` below them.

        Args:
            lines: what the colours mean.
            remark: a sentence, or nothing.
            taken: panels that the last row has.
        """
        x = self.left + taken * (self.cell + GAP) + GAP
        y = self._top(len(self.heights) - 1)
        width, height = WIDTH - MARGIN - x, self.heights[-1]
        axes = self._axes(x, y, width, height)
        fitting = max(1, int(height / LEGEND_STEP) - 2)
        at = LEGEND_STEP / 2
        for line in lines[:fitting]:
            _chip(axes, 0, at, line.color)
            _text(axes, 28, at, _short(line.name, NAME_LETTERS), va="center")
            _text(axes, width, at, line.amount, ha="right", va="center")
            at += LEGEND_STEP
        hidden = len(lines) - fitting
        for note in filter(None, [f"and {hidden} more labels" if hidden > 0 else "", remark]):
            _text(axes, 0, at, note, color=NOTICE, va="center")
            at += LEGEND_STEP

    def save(self, path: str | os.PathLike[str], *, remark: str = RADIOLOGICAL) -> None:
        """Write the PNG, whole or not at all; `remark` says how to look at it."""
        footer = self._axes(MARGIN, self.height - FOOTER, WIDTH - 2 * MARGIN, FOOTER)
        _text(footer, 0, FOOTER / 2 + 2, remark, size=9, color=DIM, va="center")
        end, use = WIDTH - 2 * MARGIN, "Research use only. Not a medical device."
        _text(footer, end, FOOTER / 2 + 2, use, size=9, color=DIM, ha="right", va="center")
        with replacing(path) as temporary:
            self.figure.savefig(temporary, format="png", dpi=DPI, facecolor=BACKGROUND)

    def _top(self, row: int) -> float:
        return HEADER + sum(self.heights[:row]) + row * GAP

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes on a rectangle given in pixels from the upper left, with pixels as units."""
        place = (x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        axes.patch.set_visible(False)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes


def _mark(axes: Axes, plane: Plane, value: int, paint: Paint) -> None:
    inside = plane.labels == value
    if not inside.any():
        return
    padded = np.pad(inside, 1).astype(np.float32)  # so that outlines close at the edge
    rows, columns = padded.shape
    x = (np.arange(columns) - 0.5) * plane.pixel_mm[1]
    y = (np.arange(rows) - 0.5) * plane.pixel_mm[0]
    rgb, filled = _rgb(paint.colors[value]), value in paint.filled
    if filled:
        axes.contourf(x, y, padded, levels=[0.5, 2.0], colors=[rgb], alpha=paint.alpha)
    if value in paint.hatches:
        pattern = axes.contourf(
            x, y, padded, levels=[0.5, 2.0], colors="none", hatches=[paint.hatches[value]]
        )
        pattern.set(edgecolor=(0, 0, 0, HATCH_ALPHA), linewidth=0)
    axes.contour(
        x,
        y,
        padded,
        levels=[0.5],
        colors=[rgb],
        linewidths=FOCUS_LINE if filled else OTHER_LINE,
        alpha=1.0 if filled else OUTLINE_ALPHA,
    )


def key_height(groups: Mapping[str, Sequence[LegendLine]]) -> int:
    """Pixels that a key needs, see `Canvas.key`."""
    return LEGEND_STEP * sum(_lines(lines) for lines in groups.values()) + KEY_ROOM


def _lines(entries: Sequence[LegendLine]) -> int:
    return max(1, -(-len(entries) // KEY_COLUMNS))


def _chip(axes: Axes, x: float, y: float, color: Color, *, hatch: str | None = None) -> None:
    """A small square of the colour, in the middle of a line of text."""
    rgb = _rgb(color)
    axes.add_patch(Rectangle((x, y - 8), 16, 16, fc=(*rgb, 0.55), ec=rgb, lw=1.5))
    if hatch is not None:
        style: dict[str, Any] = {"fc": "none", "ec": (0, 0, 0, HATCH_ALPHA), "lw": 0}
        axes.add_patch(Rectangle((x, y - 8), 16, 16, hatch=hatch, **style))


def _edges(axes: Axes, plane: Plane, width: float, height: float) -> None:
    style: dict[str, Any] = {
        "size": 10,
        "color": DIM,
        "ha": "center",
        "va": "center",
        "outline": True,
    }
    edges = (12, height / 2), (width - 12, height / 2), (width / 2, 13), (width / 2, height - 13)
    for (x, y), letter in zip(edges, plane.letters, strict=False):
        _text(axes, x, y, letter, **style)
    place, number = plane.captions
    _text(axes, 10, 15, place, size=10, va="center", outline=True)
    _text(axes, width - 10, 15, number, size=10, ha="right", va="center", outline=True)


def _scale_bar(axes: Axes, width: float, height: float, *, pixels_per_mm: float) -> None:
    fitting = [mm for mm in BAR_MM if mm * pixels_per_mm <= BAR_SHARE * width]
    if fitting:
        long, y = fitting[0] * pixels_per_mm, height - 14
        axes.plot([12, 12 + long], [y, y], color=TEXT, lw=2, solid_capstyle="butt")
        _text(axes, 12, y - 13, f"{fitting[0]} mm", size=9, va="center", outline=True)


def _text(
    axes: Axes, x: float, y: float, text: str, *, outline: bool = False, **style: Any
) -> None:
    effects = [withStroke(linewidth=2.5, foreground="black")] if outline else None
    settings = {"size": 11, "color": TEXT, **style}
    axes.text(
        x,
        y,
        drawable(text),
        family=list(families()),
        parse_math=False,
        path_effects=effects,
        **settings,
    )


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _rgb(color: Color) -> tuple[float, float, float]:
    return color[0] / 255, color[1] / 255, color[2] / 255
