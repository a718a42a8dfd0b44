# SPDX-License-Identifier: Apache-2.0
"""The picture of a result: slices with most lesion, plain and marked, as in a reading room."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle.spec import Window
from ..images.image import Image
from ..labels import Label, LabelTable
from ..metrics.measurements import Counts, Mask, count_voxels, voxels_per_slice
from ..spatial import Affine, voxel_volume_ml
from ..text import counted, minus, ml_text
from .figure import GAP, GUTTER, LINE, NOTED, WIDTH, LegendLine, Page
from .letters import MISSING, drawable
from .planes import (
    FEET_HEAD,
    FRONT_BACK,
    RADIOLOGICAL,
    RIGHT_LEFT,
    Paint,
    Plane,
    body_cutter,
    draw_plane,
)
from .views import choose_slices, oblique_degrees

COLUMNS = 4
LEGEND_ROOM = 5  # lines that a row leaves for a legend, however flat its slices are


@dataclass(frozen=True)
class Look:
    """What the picture shows and how.

    Args:
        window_hu: black and white of the grey scale.
        focus_values: labels that choose the slices and are filled with colour; the others get a
            thin outline. Empty: all labels.
        focus_name: what they are together, such as "lesion".
        title: of the picture, usually the name of the case.
        values: what the image's values are called, "HU" or "intensity".
        part_shown: the image shows a part of the organ only, so that nothing is said of the rest.
        second: another window, in which axial slices are shown too; None without one.

    Raises:
        ValueError: black is not below white.
    """

    window_hu: tuple[float, float]
    focus_values: tuple[int, ...] = ()
    focus_name: str = "lesion"
    title: str = ""
    values: str = "HU"
    part_shown: bool = False
    second: Window | None = None

    def __post_init__(self) -> None:
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError(f"window_hu {self.window_hu} is empty; give (black, white) in HU")


def draw_overlay(
    path: str | os.PathLike[str],
    image: Image,
    *,
    mask: Mask,
    table: LabelTable,
    look: Look,
) -> None:
    """Draw four axial slices, a coronal and a sagittal one, marked, into a PNG 1600 pixels wide.

    A volume of a single slice is shown plain and marked, without the other planes.

    The view is radiological (the patient's right on the left of the picture, front on top)
    whatever way the array runs; axial and coronal slices are also shown plain. Axial slices go
    from head to feet and are numbered from the feet, 1 to N; the others from the patient's right
    and front. Without any voxel of the focus, slices of the middle are shown, and a line says that
    nothing was marked. The axial slices are shown in the second window too, if there is one.

    Args:
        path: of the PNG; appears whole or not at all.
        image: a volume.
        mask: (X, Y, Z) integers on the image's grid, 0 for background.
        table: names and colours.
        look: window, focus and title.

    Raises:
        ValueError: shapes differ or the affine is singular.
        InputError: E_NOSPACE, the file cannot be written.
    """
    everything = [label.value for label in table]
    focus = look.focus_values or everything
    cutter = body_cutter(image, mask, values=everything, window_hu=look.window_hu)
    areas = cutter.view.along(voxels_per_slice(mask, focus))
    marked = cutter.view.along(voxels_per_slice(mask, everything))
    single = len(areas[FEET_HEAD]) == 1
    chosen = [0] if single else _pick(areas[FEET_HEAD], marked[FEET_HEAD], COLUMNS)
    axial = [cutter.plane(FEET_HEAD, k) for k in reversed(chosen)]
    coronal, sagittal = (
        cutter.plane(across, _pick(areas[across], marked[across], 1)[0])
        for across in (FRONT_BACK, RIGHT_LEFT)
    )
    paint = Paint({label.value: label.color for label in table}, tuple(focus))
    views: dict[str, list[tuple[Plane, Paint | None]]] = {
        "plain": [(plane, None) for plane in axial],
        "marked": [(plane, paint) for plane in axial],
    }
    if look.second:
        other = replace(cutter, window_hu=look.second.hu)
        views[look.second.name] = [(other.plane(FEET_HEAD, k), None) for k in reversed(chosen)]
    if single:  # one row, with the legend at its end
        rows, columns = [[view[0] for view in views.values()]], len(views) + 1
    else:
        rows, columns = (
            [*views.values(), [(coronal, None), (coronal, paint), (sagittal, paint)]],
            COLUMNS,
        )
    heights = [row[0][0].height for row in rows]
    heights[-1] = max(heights[-1], LEGEND_ROOM * LINE * columns / WIDTH)
    page = Page(heights, columns, left=0 if single else GUTTER)
    said = window_text(look, image.affine)
    if look.second:
        said += f"  ·  {look.second.name}: {_level_and_width(look.second.hu)} HU"
    page.title(look.title, said)
    for row, panels in enumerate(rows):
        for column, (plane, marks) in enumerate(panels):
            bar = column == 0 and row in (0, len(views))
            draw_plane(page.panel(row, column), plane, paint=marks, bar=bar)
    for row, name in enumerate(() if single else views):
        page.row_title(row, name)
    shown = "" if single else "; middle slices shown"
    remark = "" if areas[0].any() else f"{nothing_marked(look)}{shown}."
    _legend(page, legend_lines(mask, image.affine, table), remark)
    page.save(path, remark=RADIOLOGICAL)


def _pick(areas: Counts, marked: Counts, number: int) -> list[int]:
    """Slices to show, out of those where anything is marked when they are enough."""
    filled = np.flatnonzero(marked)
    if not filled.size or int(filled[-1] - filled[0]) + 1 < number:
        return choose_slices(areas, number)
    first, last = int(filled[0]), int(filled[-1])
    return [first + k for k in choose_slices(areas[first : last + 1], number)]


def nothing_marked(look: Look) -> str:
    """What is said of a mask without any voxel of the focus; never of what was not shown."""
    return "Nothing marked in the part shown" if look.part_shown else f"No {look.focus_name} marked"


def window_text(look: Look, affine: Affine) -> str:
    """Level and width of the grey scale, and how askew the grid is."""
    tilt = oblique_degrees(affine)
    oblique = f"  ·  oblique grid, {tilt:.0f}° from the body's axes" if tilt >= 1 else ""
    unit = " HU" if look.values == "HU" else ""
    return _level_and_width(look.window_hu) + unit + oblique


def _level_and_width(window: tuple[float, float]) -> str:
    low, high = window
    return minus(f"level {(low + high) / 2:.0f}, width {high - low:.0f}")


def _legend(page: Page, lines: Sequence[LegendLine], remark: str) -> None:
    """Colours, names and amounts where the last row is free; `remark` below them."""
    left, top, _, height = page.place(-1, -1)
    room = max(2, int(height / LINE)) - bool(remark)
    shown = lines if len(lines) <= room else lines[: max(1, room - 1)]
    at = page.legend(shown, top, left=left + GAP) if lines else top
    hidden = len(lines) - len(shown)
    for note in filter(
        None, [f"and {counted(hidden, 'more label')}" if hidden > 0 else "", remark]
    ):
        page.text(left + GAP, at + LINE / 2, note, color=NOTED)
        at += LINE


def legend_lines(mask: Mask, affine: Affine, table: LabelTable) -> list[LegendLine]:
    """Colour, name and volume of each label that is in the mask.

    Args:
        mask: (X, Y, Z) integers, 0 for background.
        affine: (4, 4), voxel index to RAS mm.
        table: names and colours.
    """
    voxels = count_voxels(mask, top=max((label.value for label in table), default=0))
    one_ml = voxel_volume_ml(affine)
    return [
        LegendLine(x.color, _legible(x), f"{ml_text(int(voxels[x.value]) * one_ml)} ml")
        for x in table
        if voxels[x.value]
    ]


def _legible(label: Label) -> str:
    """The name, with the label's value before it when no font here has all its letters."""
    return f"{label.value}: {label.name}" if MISSING in drawable(label.name) else label.name
