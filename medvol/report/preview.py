# SPDX-License-Identifier: Apache-2.0
"""The picture of a result in 3D: what is looked for, inside an organ or a body seen through."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from ..images.image import Image
from ..images.modality import sampled
from ..labels import LabelTable
from ..metrics.measurements import Mask, Reference, one_of, voxels_per_slice
from ..text import counted
from .figure import GAP, LINE, MARGIN, NOTED, Color, Page, show
from .overlay import Look, legend_lines, nothing_marked
from .planes import FEET_HEAD, FRONT_BACK, RIGHT_LEFT, TALLEST, write_frame
from .surface import Cells, Field, Surface, level_of, look_along, smooth_field
from .views import lps_view

LONGEST = 240  # cells along the longest side; a panel has 384 pixels
FINEST = 0.5  # of the smallest spacing: a smaller cell shows nothing more
BODY_SMOOTHING_MM = 8.0  # of the outline of a body: nobody is recognised by his face
LIGHT = np.array([0.82, -0.46, -0.34])  # towards it: from the viewer, above and left; length 1
AMBIENT = 0.30  # share of a colour in the shade
FADING = 0.35  # share of the light that is lost from the front to the back
HALF = 0.5  # level of a body's outline: it is cut where the image ends, and keeps its place
GLANCE, THICK = 0.18, 0.80  # opacity of what is seen through: face on, and at its edge
EDGE = 1.5  # how fast it rises from one to the other
BODY: Color = (196, 203, 212)  # of a hull that is not a label
LOWEST = 0.4  # height of a panel over its width, so that letters do not meet in a flat stack
REMARK = "Surfaces are smoothed; they enclose the volume that is marked. One scale for all sides."
LEGEND_COLUMNS, MOST_LABELS = 4, 12


class Side(NamedTuple):
    """From where it is seen.

    Args:
        name: in words.
        axes: of the LPS view: into the picture, down, across.
        turned: whether each of them runs against the view's direction.
        letters: at the left, right, top and bottom.
    """

    name: str
    axes: tuple[int, int, int]
    turned: tuple[bool, bool, bool]
    letters: str


SIDES = (
    Side("from the front", (FRONT_BACK, FEET_HEAD, RIGHT_LEFT), (False, True, False), "RLSI"),
    Side("from the right", (RIGHT_LEFT, FEET_HEAD, FRONT_BACK), (False, True, True), "PASI"),
    Side("from behind", (FRONT_BACK, FEET_HEAD, RIGHT_LEFT), (True, True, True), "LRSI"),
    Side("from the left", (RIGHT_LEFT, FEET_HEAD, FRONT_BACK), (True, True, False), "APSI"),
)


@dataclass(frozen=True, eq=False)
class Solids:
    """What is drawn, in cubes in the LPS view.

    Args:
        step_mm: edge of a cube.
        focus: (X, Y, Z) of `smooth_field`, of all labels that are looked for together.
        focus_level: of its surface, 0 to 1.
        values: (X, Y, Z), which of them each cube has; 0 for none.
        hull: (X, Y, Z) of `smooth_field`, of what is seen through.
        hull_level: of its surface, 0 to 1.
    """

    step_mm: float
    focus: Field
    focus_level: float
    values: Mask
    hull: Field
    hull_level: float


def draw_preview(
    path: str | os.PathLike[str],
    image: Image,
    mask: Mask,
    *,
    table: LabelTable,
    look: Look,
    organ: Reference | None = None,
) -> None:
    """Draw the labels of the focus in 3D, from four sides, into a PNG 1600 pixels wide.

    They lie, opaque, in the organ; without one, or where the mask has none of it, in the outline
    of the body. Seen along the body's axes, without perspective, all sides to one scale.

    Args:
        path: of the PNG; appears whole or not at all.
        image: a volume.
        mask: (X, Y, Z) integers on the image's grid, 0 for background.
        table: names and colours.
        look: focus and title; what is brighter than the middle of its window is body.
        organ: what is seen through.

    Raises:
        ValueError: shapes differ or the affine is singular.
        InputError: E_NOSPACE, the file cannot be written.
    """
    if mask.shape != image.array.shape:
        raise ValueError(
            f"the mask has shape {mask.shape} and the image {image.array.shape}; "
            "give a mask on the image's grid"
        )
    focus = look.focus_values or tuple(label.value for label in table)
    inside = bool(organ and any(x.any() for x in voxels_per_slice(mask, organ.values)))
    solids = solids_of(
        image, mask, look, focus=focus, organ=organ.values if organ and inside else ()
    )
    hull_color = _hull_color(table, organ, focus) if inside else BODY
    colors = np.zeros((max(label.value for label in table) + 1, 3), np.float32)
    for label in table:
        colors[label.value] = np.array(label.color) / 255
    pictures = [paint(solids, side, colors, hull_color) for side in SIDES]
    sizes = [(x.shape[1] * solids.step_mm, x.shape[0] * solids.step_mm) for x in pictures]
    widest = max(width for width, _ in sizes)
    height = sizes[0][1]  # the same from all sides
    lines = legend_lines(mask, image.affine, table)
    hidden = len(lines) - MOST_LABELS
    remark = f"and {counted(hidden, 'more label')}" if hidden > 0 else ""
    if not solids.focus.any():
        remark = f"{nothing_marked(look)}."
    rows = -(-min(len(lines), MOST_LABELS) // LEGEND_COLUMNS) + bool(remark)
    tall = min(max(height / widest, LOWEST), TALLEST)
    page = Page([tall], len(SIDES), below=GAP + rows * LINE)
    through = organ.name if organ and inside else "outline of the body"
    page.title(look.title, f"{look.focus_name} in 3D, inside the {through}, which is seen through")
    for column, (side, picture, size) in enumerate(zip(SIDES, pictures, sizes, strict=True)):
        panel = page.panel(0, column)
        beside = int((widest - size[0]) / 2 / solids.step_mm)
        wide = np.pad(picture, ((0, 0), (beside, beside), (0, 0)))
        size_mm = wide.shape[1] * solids.step_mm, height
        show(panel, wide, size_mm, window=(0.0, 1.0))
        write_frame(panel, side.letters, (side.name, ""), bar=column == 0)
    _, top, _, pixels = page.place(0, 0)
    at = top + pixels + GAP
    if lines:
        at = page.legend(lines[:MOST_LABELS], at, columns=LEGEND_COLUMNS)
    page.text(MARGIN, at + LINE / 2, remark, color=NOTED)
    page.save(path, remark=REMARK)


def solids_of(
    image: Image, mask: Mask, look: Look, *, focus: Collection[int], organ: Collection[int]
) -> Solids:
    """What is drawn of a mask, in equal cubes.

    Args:
        image: on whose grid the mask lies.
        mask: (X, Y, Z).
        look: what is brighter than the middle of its window is body.
        focus: values that are drawn opaque.
        organ: values of what is seen through; empty takes the body's outline in the image.
    """
    view = lps_view(mask.shape, image.affine)
    box = tuple(slice(0, n) for n in view.of(mask).shape)
    if organ:
        marked = view.along(voxels_per_slice(mask, [*focus, *organ]))
        filled = [np.flatnonzero(counts) for counts in marked]
        box = tuple(slice(int(x[0]), int(x[-1]) + 1) for x in filled)
    labels = view.of(mask)[box]
    longest = max(n * mm for n, mm in zip(labels.shape, view.spacing_mm, strict=True))
    step_mm = max(longest / LONGEST, FINEST * min(view.spacing_mm))
    cells = Cells(labels.shape, view.spacing_mm, step_mm)
    nearest = labels[np.ix_(*(cells.nearest(axis) for axis in range(3)))]
    nearest *= one_of(nearest, focus)
    if organ:
        hull = smooth_field(labels, organ, cells)
        level = level_of(hull)
    else:
        body = view.of(image.array) > _body_threshold(image, look)
        hull = smooth_field(body.view(np.uint8), (1,), replace(cells, smooth_mm=BODY_SMOOTHING_MM))
        level = HALF
    marked_field = smooth_field(labels, focus, cells)
    return Solids(step_mm, marked_field, level_of(marked_field), nearest, hull, level)


def paint(
    solids: Solids, side: Side, colors: npt.NDArray[np.float32], hull_color: Color
) -> npt.NDArray[np.float32]:
    """The picture from one side.

    Args:
        solids: what is drawn.
        side: from where.
        colors: (values, 3), 0 to 1, of each label.
        hull_color: of what is seen through.

    Returns:
        (rows, columns, 3), 0 to 1.
    """
    steps = tuple(slice(None, None, -1 if turn else 1) for turn in side.turned)

    def turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array.transpose(side.axes)[steps]

    inner = look_along(turned(solids.focus), solids.focus_level)
    outer = look_along(turned(solids.hull), solids.hull_level)
    light = _light(inner, len(turned(solids.focus)))
    picture = light[..., None] * colors[_first_values(turned(solids.values))]
    facing = outer.normal[0]
    opacity = np.where(outer.seen, GLANCE + (THICK - GLANCE) * (1 - facing) ** EDGE, 0)
    veil = _light(outer, len(turned(solids.hull)))[..., None] * np.array(hull_color) / 255
    mixed: npt.NDArray[np.float32] = picture + opacity[..., None] * (veil - picture)
    return np.clip(mixed, 0, 1).astype(np.float32)


def _light(surface: Surface, depth: int) -> Field:
    """How bright each pixel of a surface is, 0 to 1; 0 where there is none."""
    lit = np.clip(np.tensordot(LIGHT, surface.normal, axes=1), 0, 1)
    near = 1 - FADING * surface.depth / depth
    bright: Field = np.where(surface.seen, near * (AMBIENT + (1 - AMBIENT) * lit), 0)
    return bright


def _first_values(values: Mask) -> Mask:
    """(rows, columns): the first value that is not 0 along the first axis, else the one beside."""
    marked = values > 0
    first = np.take_along_axis(values, marked.argmax(axis=0)[None], axis=0)[0]
    if not first.any():
        return first
    beside = distance_transform_edt(first == 0, return_distances=False, return_indices=True)
    return first[tuple(beside)]


def _body_threshold(image: Image, look: Look) -> float:
    """Middle of the window of HU; of MR the mean, which noise in the air never reaches."""
    return sum(look.window_hu) / 2 if look.values == "HU" else float(sampled(image.array).mean())


def _hull_color(table: LabelTable, organ: Reference | None, focus: Collection[int]) -> Color:
    """Colour of the organ's own label, that is not looked for; else that of a body."""
    own = [x.color for x in table if organ and x.value in organ.values and x.value not in focus]
    return own[0] if own else BODY
