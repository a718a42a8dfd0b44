# SPDX-License-Identifier: Apache-2.0
"""A page of samples of each class of a data set, to be looked at before training."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..images import read_image
from ..slices import evenly
from .canvas import Canvas, Plane

COLUMNS = 8
GUTTER = 34  # pixels, for the name of a class
CELL = 256  # pixels a side; a panel is about 190 wide
CAPTION_LETTERS = 22
PARTS = ("training", "validation", "test")
REMARK = (
    "Samples lie evenly over the list. A class that can be told by frame, text or size is a trap."
)


def draw_samples(
    datalist: Mapping[str, Any], path: str | os.PathLike[str], *, columns: int = COLUMNS
) -> None:
    """Draw a row of radiographs for each class into a PNG 1600 pixels wide.

    Args:
        datalist: with classes, see `datasets.classes`; the paths can be opened. Samples are of the
            training part, or of what there is.
        path: of the PNG; appears whole or not at all.
        columns: samples of a class.

    Raises:
        InputError: a picture cannot be read, or E_NOSPACE, the page not be written.
    """
    names = list(datalist["labels"].values())
    part = next((part for part in PARTS if datalist.get(part)), PARTS[0])
    everything = [item for part in PARTS for item in datalist.get(part, [])]
    blank = _plane(np.zeros((CELL, CELL), dtype=np.float32), "")
    canvas = Canvas([blank] * len(names), columns=columns, gutter=GUTTER)
    counts = ", ".join(
        f"{name} {sum(item['class'] == name for item in everything):,}" for name in names
    )
    canvas.header(str(datalist.get("name", "samples")), f"{counts}; samples of the {part} part")
    for row, name in enumerate(names):
        canvas.row_title(row, name)
        own = [item for item in datalist.get(part, []) if item["class"] == name]
        for column, item in enumerate(evenly(own, columns)):
            pixels = read_image(Path(item["image"]), "radiograph").array
            canvas.panel(row, column, _plane(small(pixels), _caption(item)))
    canvas.save(path, remark=REMARK)


def small(pixels: npt.NDArray[np.float32], side: int = CELL) -> npt.NDArray[np.float32]:
    """The picture averaged down so that its longer side has at most `side` pixels."""
    from PIL import Image

    rows, columns = pixels.shape
    scale = min(side / rows, side / columns, 1.0)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    reduced = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    return np.asarray(reduced, dtype=np.float32)


def _plane(pixels: npt.NDArray[np.float32], caption: str) -> Plane:
    labels = np.zeros(pixels.shape, dtype=np.uint8)
    return Plane(pixels, labels, (1.0, 1.0), "", (caption, ""), (0.0, 1.0))


def _caption(item: Mapping[str, Any]) -> str:
    case = str(item["case"])
    return case if len(case) <= CAPTION_LETTERS else f"{case[: CAPTION_LETTERS - 1]}…"
