# SPDX-License-Identifier: Apache-2.0
"""The picture of a classified radiograph: plain, and with colours where the network looked."""

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..files import replacing
from .canvas import BACKGROUND, DIM, DPI, NOTICE, TEXT
from .fonts import drawable, families

COLORS = "inferno"  # dark to bright in even steps, so that it also reads in grey
ALPHA = 0.6  # of the strongest colour; weaker ones are more transparent
WIDTH, MARGIN, GAP = 1600, 20, 8  # pixels
HEADER, FOOTER, SCALE = 80, 34, 110  # of the titles, the notice, the legend at the right
LOW, HIGH = 0.5, 1.6  # height of a panel over its width; pictures beyond that are drawn smaller
LETTERS = 90
USE = "Research use only. Not a medical device."


class Caption(NamedTuple):
    """The words of the picture.

    Args:
        title: such as "chest1: pneumonia 0.97".
        subtitle: how the map was made.
        scale: what the colours mean, such as "fall of the probability".
        nothing: what is said in place of colours where the map is 0 everywhere.
    """

    title: str
    subtitle: str
    scale: str
    nothing: str = "Nothing in the picture speaks for this class."


def draw_attention(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[np.float32],
    heat: npt.NDArray[np.float32],
    *,
    caption: Caption,
) -> None:
    """Draw a radiograph twice, plain and under its map, into a PNG 1600 pixels wide.

    The colours run from 0 to the highest value of the map; where it is low, the picture shows
    through.

    Args:
        path: of the PNG; appears whole or not at all.
        pixels: (rows, columns) in [0, 1].
        heat: (rows, columns) in [0, 1].
        caption: the words.

    Raises:
        ValueError: the map has another shape.
        InputError: E_NOSPACE, the file cannot be written.
    """
    if heat.shape != pixels.shape:
        raise ValueError(
            f"the map has shape {heat.shape} and the picture {pixels.shape}; "
            "give a map on the picture's grid"
        )
    rows, columns = pixels.shape
    wide = (WIDTH - 2 * MARGIN - GAP - SCALE) / 2
    tall = wide * min(max(rows / columns, LOW), HIGH)
    height = round(HEADER + tall + FOOTER)
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=BACKGROUND)
    page = _axes(figure, 0, 0, WIDTH, height)
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    _text(page, MARGIN, 27, caption.title, size=17, weight="bold")
    _text(page, MARGIN, 58, caption.subtitle, color=DIM)
    _text(page, WIDTH - MARGIN, height - FOOTER / 2, USE, size=9, color=DIM, ha="right")
    for at in (MARGIN, MARGIN + wide + GAP):
        panel = _axes(figure, at, HEADER, wide, tall)
        panel.set_facecolor("black")
        panel.patch.set_visible(True)
        panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="bicubic")
    if (highest := float(heat.max())) > 0:
        share = heat / highest
        drawn = panel.imshow(
            share, cmap=COLORS, norm=Normalize(0, 1), alpha=ALPHA * share, interpolation="bilinear"
        )
        drawn.set_clim(0, 1)
        _legend(figure, WIDTH - MARGIN - SCALE + 14, tall, highest, caption.scale)
    else:
        _text(page, MARGIN, height - FOOTER / 2, caption.nothing, size=10, color=NOTICE)
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def _axes(figure: Figure, x: float, y: float, wide: float, tall: float) -> Axes:
    """Axes without ticks on a rectangle given in pixels from the upper left."""
    across, down = figure.get_size_inches() * DPI
    axes = figure.add_axes((x / across, 1 - (y + tall) / down, wide / across, tall / down))
    axes.set(xticks=[], yticks=[])
    axes.patch.set_visible(False)
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def _legend(figure: Figure, x: float, tall: float, highest: float, meaning: str) -> None:
    """A bar of the colours as strong as they lie on black, with its values at the right."""
    axes = _axes(figure, x, HEADER + tall / 4, 16, tall / 2)
    steps = np.linspace(0, 1, 256)[:, None]
    axes.imshow(steps, cmap=COLORS, alpha=0.25 + 0.75 * steps, origin="lower", aspect="auto",
                extent=(0, 1, 0, highest))  # fmt: skip
    axes.yaxis.tick_right()
    axes.set_yticks([0, highest / 2, highest], [f"{v:.2g}" for v in (0, highest / 2, highest)])
    axes.tick_params(colors=TEXT, length=3, labelsize=10)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(drawable(meaning), color=DIM, fontsize=10, labelpad=8)


def _text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    short = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
    settings = {"size": 11, "color": TEXT, "va": "center", **style}
    axes.text(x, y, drawable(short), family=list(families()), parse_math=False, **settings)
