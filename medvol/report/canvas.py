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

from ..atomic import replacing
from .fonts import drawable, families

Color = tuple[int, int, int]
WIDTH, MARGIN, GAP, HEADER, FOOTER = 1600, 20, 8, 80, 34  # pixels
DPI = 100
TALLEST = 1.25  # height of a panel over its width; a taller plane is drawn smaller
BACKGROUND, TEXT, DIM, NOTICE = "#0c0e11", "#eceff3", "#a3abb6", "#ffd479"
FILL_ALPHA, OUTLINE_ALPHA = 0.30, 0.75
FOCUS_LINE, OTHER_LINE = 1.3, 0.9  # points
BAR_MM = (100, 50, 20, 10, 5, 2, 1)  # lengths of the scale bar, the first that fits
BAR_SHARE = 0.3  # of the panel's width
LEGEND_STEP = 30
TITLE_LETTERS, NAME_LETTERS = 64, 28


class Plane(NamedTuple):
    """One slice as it lies on the page.

    Args:
        image: (rows, columns) in HU, first row on top.
        labels: (rows, columns).
        pixel_mm: height and width of a pixel.
        letters: patient directions at the left, right, top and bottom edge, such as "RLAP".
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
    """How labels are marked: the colour of each value, and which are tinted beside the outline."""

    colors: Mapping[int, Color]
    filled: tuple[int, ...]


class Canvas:
    """Two rows of axial panels, a third row with other planes and the legend; or one row.

    Args:
        axial: any axial plane; all have one size.
        coronal: the coronal plane; None for a single slice, which has one row, of a plain and a
            marked panel and the legend.
        columns: panels in a row, 4 or more; the legend takes what the third row leaves free.
    """

    def __init__(self, axial: Plane, coronal: Plane | None, *, columns: int) -> None:
        if columns < 4:
            raise ValueError(f"columns is {columns}; give 4 or more, three planes and the legend")
        self.taken = 2 if coronal is None else 3  # panels beside the legend
        columns = columns if coronal is not None else 3
        self.cell = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
        rows = [axial] if coronal is None else [axial, axial, coronal]
        self.heights = [self.cell * min(p.size_mm[1] / p.size_mm[0], TALLEST) for p in rows]
        self.height = round(HEADER + sum(self.heights) + (len(rows) - 1) * GAP + FOOTER)
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
        x = MARGIN + column * (self.cell + GAP)
        y = HEADER + sum(self.heights[:row]) + row * GAP
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
                _mark(axes, plane, value, paint.colors[value], filled=value in paint.filled)
        top = self._axes(x, y, self.cell, height)
        _edges(top, plane, self.cell, height)
        if column == 0 and paint is None:
            _scale_bar(top, self.cell, height, pixels_per_mm=scale)

    def legend(self, lines: Sequence[LegendLine], remark: str) -> None:
        """Colours, names and amounts in the free part of the last row; `remark` below them."""
        above = self.heights[:-1]
        x = MARGIN + self.taken * (self.cell + GAP) + GAP
        y = HEADER + sum(above) + len(above) * GAP
        width, height = WIDTH - MARGIN - x, self.heights[-1]
        axes = self._axes(x, y, width, height)
        fitting = max(1, int(height / LEGEND_STEP) - 2)
        at = LEGEND_STEP / 2
        for line in lines[:fitting]:
            color = _rgb(line.color)
            axes.add_patch(Rectangle((0, at - 8), 16, 16, fc=(*color, 0.55), ec=color, lw=1.5))
            _text(axes, 28, at, _short(line.name, NAME_LETTERS), va="center")
            _text(axes, width, at, line.amount, ha="right", va="center")
            at += LEGEND_STEP
        hidden = len(lines) - fitting
        for note in filter(None, [f"and {hidden} more labels" if hidden > 0 else "", remark]):
            _text(axes, 0, at, note, color=NOTICE, va="center")
            at += LEGEND_STEP

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the PNG, whole or not at all."""
        footer = self._axes(MARGIN, self.height - FOOTER, WIDTH - 2 * MARGIN, FOOTER)
        line = "Radiological view: the patient's right is on the left. Slices count from the feet."
        _text(footer, 0, FOOTER / 2 + 2, line, size=9, color=DIM, va="center")
        end, use = WIDTH - 2 * MARGIN, "Research use only. Not a medical device."
        _text(footer, end, FOOTER / 2 + 2, use, size=9, color=DIM, ha="right", va="center")
        with replacing(path) as temporary:
            self.figure.savefig(temporary, format="png", dpi=DPI, facecolor=BACKGROUND)

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes on a rectangle given in pixels from the upper left, with pixels as units."""
        place = (x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        axes.patch.set_visible(False)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes


def _mark(axes: Axes, plane: Plane, value: int, color: Color, *, filled: bool) -> None:
    inside = plane.labels == value
    if not inside.any():
        return
    padded = np.pad(inside, 1).astype(np.float32)  # so that outlines close at the edge
    rows, columns = padded.shape
    x = (np.arange(columns) - 0.5) * plane.pixel_mm[1]
    y = (np.arange(rows) - 0.5) * plane.pixel_mm[0]
    rgb = _rgb(color)
    if filled:
        axes.contourf(x, y, padded, levels=[0.5, 2.0], colors=[rgb], alpha=FILL_ALPHA)
    axes.contour(
        x,
        y,
        padded,
        levels=[0.5],
        colors=[rgb],
        linewidths=FOCUS_LINE if filled else OTHER_LINE,
        alpha=1.0 if filled else OUTLINE_ALPHA,
    )


def _edges(axes: Axes, plane: Plane, width: float, height: float) -> None:
    left, right, top, bottom = tuple(plane.letters)
    style: dict[str, Any] = {
        "size": 10,
        "color": DIM,
        "ha": "center",
        "va": "center",
        "outline": True,
    }
    _text(axes, 12, height / 2, left, **style)
    _text(axes, width - 12, height / 2, right, **style)
    _text(axes, width / 2, 13, top, **style)
    _text(axes, width / 2, height - 13, bottom, **style)
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
