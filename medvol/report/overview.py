# SPDX-License-Identifier: Apache-2.0
"""One picture of a data set of volumes: slices of every case with the labels drawn over."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..images import read_image
from ..images.modality import grey_window
from ..labels import LabelTable
from .figure import GAP, LINE, MARGIN, PIXELS_A_LETTER, LegendLine, Page, short
from .planes import FEET_HEAD, FRONT_BACK, Cutter, Paint, Plane, draw_plane
from .views import lps_view

LUNG_WINDOW_HU = (-1350.0, 150.0)  # level -600, width 1500
COLUMN, SMALL_COLUMN, NARROWEST = 280, 140, 900  # pixels of a case, and of a page
LEGEND_COLUMN = 280  # pixels
REMARK = "Radiological view: the patient's right is on the left."
TINT = 0.45  # share of the label's colour over the image


def draw_overview(
    items: Sequence[Mapping[str, Any]],
    table: LabelTable,
    path: str | PathLike[str],
    *,
    focus: Sequence[int],
) -> None:
    """Draw the axial and the coronal slice with most of the focus labels of every case.

    Seen as radiologists do: the patient's right on the left, front or head on top.

    Args:
        items: rows of a datalist with `image`, `label` (paths that can be opened) and `case`.
        table: names and colours of the labels.
        path: of the PNG; appears whole or not at all.
        focus: label values that choose the slices; without any of them in a case all labels do.

    Raises:
        InputError: an image or label cannot be read, or the picture not be written.
    """
    cases = [case_planes(item, focus) for item in items]
    names = " and ".join(label.name for label in table if label.value in focus) or "labels"
    page = _page(list(zip(*cases, strict=True)), table, column=COLUMN)
    page.title(f"{len(items)} cases", f"axial and coronal slice with most {names}")
    page.save(path, remark=REMARK)


def draw_slices(
    items: Sequence[Mapping[str, Any]],
    table: LabelTable,
    path: str | PathLike[str],
    *,
    columns: int = 14,
    modality: str = "CT",
) -> None:
    """Draw one axial slice of many cases in a grid, labels drawn over.

    Args:
        items: see `draw_overview`.
        table: names and colours of the labels; the slice with most of them is shown.
        path: of the PNG; appears whole or not at all.
        columns: cases in a row.
        modality: "MR" reads patients' sequences and shows FLAIR.

    Raises:
        InputError: an image or label cannot be read, or the picture not be written.
    """
    values = [label.value for label in table]
    planes = [
        case_planes(item, values, modality=modality)[0]._replace(letters="") for item in items
    ]
    rows = [planes[start : start + columns] for start in range(0, len(planes), columns)]
    page = _page(rows, table, column=SMALL_COLUMN)
    page.title(f"{len(items)} cases", "axial slice with most that is marked")
    page.save(path, remark=REMARK)


def case_planes(
    item: Mapping[str, Any], focus: Sequence[int], *, modality: str = "CT"
) -> tuple[Plane, Plane]:
    """Read one case and cut the axial and the coronal slice that hold most of the focus labels.

    Args:
        item: row of a datalist, see `draw_overview`.
        focus: label values; without any of them all labels count.
        modality: "CT" or "MR".

    Raises:
        InputError: image or label cannot be read.
    """
    image = read_image(item["image"], "sequences" if modality == "MR" else "volume")
    labels = read_image(item["label"], kind="mask")
    window = grey_window(image.array) if modality == "MR" else LUNG_WINDOW_HU
    view = lps_view(image.array.shape, image.affine)
    mask = view.of(labels.array)
    marked = np.isin(mask, focus)
    if not marked.any():
        marked = mask > 0
    everything = slice(0, None), slice(0, None), slice(0, None)
    cutter = Cutter(view, view.of(image.array), mask, everything, window)
    top = int(marked.sum(axis=(0, 1)).argmax())
    front = int(marked.sum(axis=(0, 2)).argmax())
    axial, coronal = cutter.plane(FEET_HEAD, top), cutter.plane(FRONT_BACK, front)
    name = str(item["case"])
    return axial._replace(captions=(name, "")), coronal._replace(captions=(name, ""))


def _page(rows: Sequence[Sequence[Plane]], table: LabelTable, *, column: int) -> Page:
    """Planes in a grid whose columns are so many pixels wide, and a legend below."""
    columns = max(map(len, rows))
    width = max(columns * column, NARROWEST)
    across = max(1, (width - 2 * MARGIN) // LEGEND_COLUMN)
    lines = [LegendLine(label.color, label.name) for label in table]
    heights = [max(plane.height for plane in row) for row in rows]
    page = Page(heights, width // column, width=width, below=GAP + LINE * -(-len(lines) // across))
    colors = {x.value: x.color for x in reversed(tuple(table))}  # the first, of lesions, on top
    paint = Paint(colors, tuple(colors), TINT)
    for place, row in enumerate(rows):
        for at, plane in enumerate(row):
            name = short(plane.captions[0], int(page.cell / PIXELS_A_LETTER))
            draw_plane(page.panel(place, at), plane._replace(captions=(name, "")), paint=paint)
    _, top, _, height = page.place(-1, 0)
    page.legend(lines, top + height + GAP, columns=across)
    return page
