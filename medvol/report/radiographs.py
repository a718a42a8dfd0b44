# SPDX-License-Identifier: Apache-2.0
"""Radiographs as pictures: with colours where a network looked, small ones, samples of classes."""

import base64
import io
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from PIL import Image

from ..images import read_image
from ..slices import evenly
from .canvas import TEXT
from .figure import DIM, GUTTER, NOTED, PIXELS_A_LETTER, Page, short, show
from .letters import drawable
from .planes import Plane, draw_plane

COLORS = "inferno"  # dark to bright in even steps, so that it also reads in grey
ALPHA = 0.6  # of the strongest colour; weaker ones are more transparent
SCALE = 110  # pixels at the right, for the colour bar
LOW, HIGH = 0.5, 1.6  # height of a panel over its width; pictures beyond that are drawn smaller
TILE_SIDE, SAMPLE_SIDE = 240, 256  # pixels of the longer side
JPEG_QUALITY = 85
COLUMNS = 8  # samples of a class
PARTS = ("training", "validation", "test")
REMARK = "Samples lie evenly over the list. A class recognised by frame, text or size is a trap."

Heat = npt.NDArray[np.floating[Any]]


class Caption(NamedTuple):
    """The words of the picture of a map.

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
    page = Page([min(max(rows / columns, LOW), HIGH)], 2, right=SCALE)
    page.title(caption.title, caption.subtitle)
    highest = float(heat.max())
    colored = with_heat(pixels, heat / highest if highest > 0 else heat)
    for column, picture in enumerate((with_heat(pixels, np.zeros((1, 1))), colored)):
        show(page.panel(0, column), picture, (columns, rows), window=(0.0, 1.0))
    if highest > 0:
        _color_bar(page, highest, caption.scale)
        page.save(path)
    else:
        page.save(path, remark=caption.nothing, color=NOTED)


def _color_bar(page: Page, highest: float, meaning: str) -> None:
    """A bar of the colours beside the panels, with three values and what they mean."""
    left, top, width, height = page.place(0, 1)
    axes = page.axes(left + width + 14, top + height / 4, 16, height / 2)
    bar = page.figure.colorbar(ScalarMappable(Normalize(0, highest), COLORS), cax=axes)
    bar.set_ticks([0, highest / 2, highest], labels=[f"{x:.2g}" for x in (0, highest / 2, highest)])
    bar.set_label(drawable(meaning), color=DIM, fontsize=10, labelpad=8)
    bar.outline.set_visible(False)
    axes.tick_params(colors=TEXT, length=3, labelsize=10)


def radiograph_tile(pixels: npt.NDArray[np.float32], attention: Heat | None = None) -> str:
    """The address of an `img`: a JPEG of the radiograph, and beside it the same with attention.

    Args:
        pixels: (rows, columns) in [0, 1].
        attention: (rows, columns) in [0, 1] over the whole picture, on any grid; None for the
            radiograph alone.
    """
    grey = small(pixels, TILE_SIDE)
    tile = with_heat(grey, np.zeros((1, 1)))
    if attention is not None:
        tile = np.concatenate([tile, with_heat(grey, attention)], axis=1)
    with io.BytesIO() as stream:
        picture = Image.fromarray((tile * 255).round().astype(np.uint8))
        picture.save(stream, "JPEG", quality=JPEG_QUALITY)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def draw_samples(
    datalist: Mapping[str, Any], path: str | os.PathLike[str], *, columns: int = COLUMNS
) -> None:
    """Draw a row of radiographs for each class of a data set into a PNG 1600 pixels wide.

    Args:
        datalist: content of a datalist with classes, see `medvol.data.datalist`; its paths can be
            opened. Samples are of the training part, or of what there is.
        path: of the PNG; appears whole or not at all.
        columns: samples of a class.

    Raises:
        InputError: a picture cannot be read, or E_NOSPACE, the page not be written.
    """
    names = list(datalist["labels"].values())
    part = next((part for part in PARTS if datalist.get(part)), PARTS[0])
    everything = [item["class"] for part in PARTS for item in datalist.get(part, [])]
    page = Page([1.0] * len(names), columns, left=GUTTER)
    counts = ", ".join(f"{name} {everything.count(name):,}" for name in names)
    page.title(str(datalist.get("name", "samples")), f"{counts}; samples of the {part} part")
    for row, name in enumerate(names):
        page.row_title(row, name)
        own = [item for item in datalist.get(part, []) if item["class"] == name]
        for column, item in enumerate(evenly(own, columns)):
            pixels = small(read_image(item["image"], "radiograph").array, SAMPLE_SIDE)
            caption = short(str(item["case"]), int(page.cell / PIXELS_A_LETTER))
            nothing = np.zeros(pixels.shape, dtype=np.uint8)
            plane = Plane(pixels, nothing, (1.0, 1.0), "", (caption, ""), (0.0, 1.0))
            draw_plane(page.panel(row, column), plane)
    page.save(path, remark=REMARK)


def small(pixels: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """The picture averaged down so that its longer side has `side` pixels; a smaller one as it is.

    Args:
        pixels: (rows, columns).
        side: in pixels, 1 or more.

    Returns:
        (rows, columns), fewer of both where one is more than `side`.

    Example:
        >>> small(np.zeros((480, 120), np.float32), 240).shape
        (240, 60)
    """
    scale = side / max(pixels.shape)
    if scale >= 1:
        return pixels
    rows, columns = (max(1, round(length * scale)) for length in pixels.shape)
    return _resized(pixels, rows, columns, Image.Resampling.BOX)


def with_heat(grey: npt.NDArray[np.float32], attention: Heat) -> npt.NDArray[np.float32]:
    """Lay attention as colour over grey: nothing where it is 0, most where it is 1.

    Args:
        grey: (rows, columns) in [0, 1].
        attention: (any, any) in [0, 1] over the same field.

    Returns:
        (rows, columns, 3) in [0, 1].
    """
    rows, columns = grey.shape
    heat = attention.astype(np.float32)
    if heat.shape != grey.shape:
        heat = _resized(heat, rows, columns, Image.Resampling.BILINEAR)
    heat = heat.clip(0, 1)
    color = colormaps[COLORS](heat)[:, :, :3].astype(np.float32)
    alpha = (ALPHA * heat)[:, :, None]
    return np.asarray((1 - alpha) * grey[:, :, None] + alpha * color, np.float32)


def _resized(
    values: npt.NDArray[np.float32], rows: int, columns: int, how: Image.Resampling
) -> npt.NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize((columns, rows), how), np.float32)
