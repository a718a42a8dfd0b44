# SPDX-License-Identifier: Apache-2.0
"""What a network is trained on and where it errs: small pictures in a grid, a caption each."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .figure import LINE, NOTED, PIXELS_A_LETTER, Color, LegendLine, Page, short
from .planes import Paint, Plane, draw_plane

COLUMNS = 4
FRAME = 4  # points around what is wrong
NARROWEST = 1e-6  # between black and white, of a picture of one value
DARKEST, BRIGHTEST = 0.5, 99.5  # percentiles of the values that become black and white


class Tile(NamedTuple):
    """One picture.

    Args:
        values: (rows, columns) of any range.
        caption: what it is, or is taken for.
        labels: (rows, columns), 0 for none of them; None where no label map belongs to it.
        wrong: whether it is an error, which gets a frame.
    """

    values: npt.NDArray[np.floating[Any]]
    caption: str
    labels: npt.NDArray[np.integer[Any]] | None = None
    wrong: bool = False


def draw_batch(
    path: str | os.PathLike[str],
    tiles: Sequence[Tile],
    title: str,
    *,
    subtitle: str = "",
    colors: Mapping[int, tuple[str, Color]] | None = None,
    remark: str = "",
) -> None:
    """Draw pictures in rows of four into a PNG 1600 pixels wide.

    Args:
        path: of the PNG; appears whole or not at all.
        tiles: one or more.
        title: of the page.
        subtitle: smaller, below it.
        colors: value of a label to its name and colour; None for pictures without labels.
        remark: in the footer.

    Raises:
        ValueError: there is no picture.
        InputError: E_NOSPACE, the file cannot be written.
    """
    if not tiles:
        raise ValueError("there is no picture to draw; give one or more")
    named = colors or {}
    rows = [tiles[at : at + COLUMNS] for at in range(0, len(tiles), COLUMNS)]
    tall = [max(tile.values.shape[0] / tile.values.shape[1] for tile in row) for row in rows]
    page = Page(tall, COLUMNS, below=LINE if named else 0)
    page.title(title, subtitle)
    paint = Paint({value: color for value, (_, color) in named.items()}, tuple(named))
    letters = int(page.cell / PIXELS_A_LETTER)
    for row, own in enumerate(rows):
        for column, tile in enumerate(own):
            low, high = np.percentile(tile.values, (DARKEST, BRIGHTEST))
            values = np.asarray(tile.values, np.float32)
            labels = np.zeros(values.shape, np.uint8) if tile.labels is None else tile.labels
            window = (float(low), float(max(high, low + NARROWEST)))
            captions = (short(tile.caption, letters), "")
            panel = page.panel(row, column)
            plane = Plane(values, labels, (1.0, 1.0), "", captions, window)
            draw_plane(panel, plane, paint=paint if named else None)
            if tile.wrong:
                panel.canvas.rectangle(*panel.box, edge=NOTED, line=FRAME)
    if named:
        _, top, _, height = page.place(len(rows) - 1, 0)
        lines = [LegendLine(color, name) for name, color in named.values()]
        page.legend(lines, top + height, columns=len(lines))
    page.save(path, remark=remark)
