# SPDX-License-Identifier: Apache-2.0
"""A slice as it lies on a page: cut out of a volume, labels marked, letters at its edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from contourpy import LineType, contour_generator
from matplotlib.path import Path

from ..images.image import Image
from ..metrics.measurements import Counts, Mask, Volume, voxels_per_slice
from ..text import minus
from .canvas import TEXT
from .figure import DIM, HATCH_ALPHA, Color, Panel, show
from .views import Box, LpsView, bright_box, lps_view

RIGHT_LEFT, FRONT_BACK, FEET_HEAD = 0, 1, 2  # axes of the view
TALLEST = 1.25  # height of a panel over its width; a taller plane is drawn smaller
FILL_ALPHA, OUTLINE_ALPHA = 0.30, 0.75
FOCUS_LINE, OTHER_LINE = 1.3, 0.9  # points
BAR_MM = (100, 50, 20, 10, 5, 2, 1)  # lengths of the scale bar, the first that fits
BAR_SHARE, BAR_PIXELS = 0.3, 3  # length at most, of the panel's width; and how thick it is
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

    @property
    def height(self) -> float:
        """Height over width of the panel that shows it, a factor up to `TALLEST`."""
        return min(self.size_mm[1] / self.size_mm[0], TALLEST)


class Paint(NamedTuple):
    """How labels are marked.

    Args:
        colors: of each value.
        filled: values that are tinted beside the outline.
        alpha: of the tint, 0 to 1.
        hatches: value to matplotlib's pattern over the tint, for who does not see the colours.
    """

    colors: Mapping[int, Color]
    filled: tuple[int, ...]
    alpha: float = FILL_ALPHA
    hatches: Mapping[int, str] = {}


def draw_plane(
    panel: Panel, plane: Plane, *, paint: Paint | None = None, bar: bool = False
) -> None:
    """Draw a plane, plain or with its labels painted, as large as the panel allows.

    Args:
        panel: of a `figure.Page`.
        plane: what is drawn.
        paint: how labels are marked; None leaves them out.
        bar: whether a scale bar is drawn.
    """
    show(panel, plane.image, plane.size_mm, window=plane.window_hu)
    if paint is not None:
        for value in sorted(paint.colors, key=lambda v: v in paint.filled):  # tinted: on top
            _mark(panel, plane, value, paint)
    write_frame(panel, plane.letters, plane.captions, bar=bar and bool(plane.letters))


def write_frame(
    panel: Panel, letters: str, captions: tuple[str, str], *, bar: bool = False
) -> None:
    """Write what tells a reader where he is.

    Args:
        panel: in which something is shown, its size in mm.
        letters: patient directions at the left, right, top and bottom edge, such as "RLAP", or "".
        captions: texts for the upper corners.
        bar: whether a scale bar is drawn.
    """
    left, top, width, height = panel.box
    right, bottom, middle, centre = left + width, top + height, left + width / 2, top + height / 2
    sides = (left + 12, centre), (right - 12, centre), (middle, top + 13), (middle, bottom - 13)
    for (x, y), letter in zip(sides, letters, strict=False):
        _write(panel, x, y, letter, color=DIM, ha="center")
    _write(panel, left + 10, top + 15, captions[0])
    _write(panel, right - 10, top + 15, captions[1], ha="right")
    if bar:
        _scale_bar(panel)


def _write(panel: Panel, x: float, y: float, text: str, **style: Any) -> None:
    panel.canvas.text(x, y, text, **{"size": 10, "outlined": True, **style})


def _mark(panel: Panel, plane: Plane, value: int, paint: Paint) -> None:
    """Lay a label's colour over the plane, and its outline around it."""
    path = outline(plane.labels == value)
    if path is None:
        return
    across, down = panel.scale
    steps: Any = np.array([across * plane.pixel_mm[1], down * plane.pixel_mm[0]])
    path = Path(path.vertices * steps + np.array(panel.corner), path.codes)
    rgb, filled = tuple(channel / 255 for channel in paint.colors[value]), value in paint.filled
    if filled:
        panel.canvas.path(path, face=(*rgb, paint.alpha), inside=panel.box)
    if (pattern := paint.hatches.get(value)) is not None:
        panel.canvas.path(path, edge=(0, 0, 0, HATCH_ALPHA), hatch=pattern, inside=panel.box)
    line, alpha = (FOCUS_LINE, 1.0) if filled else (OTHER_LINE, OUTLINE_ALPHA)
    panel.canvas.path(path, edge=(*rgb, alpha), line=line, inside=panel.box)


def outline(inside: npt.NDArray[np.bool_]) -> Path | None:
    """The outline of what is marked, closed, half-way to the pixels that are not; None of nothing.

    Args:
        inside: (rows, columns).

    Returns:
        Points (x, y) in pixels from the upper left corner of the plane; holes run the other way.

    Example:
        >>> square = np.zeros((3, 4), bool)
        >>> square[1, 2] = True
        >>> outline(square).get_extents().extents.tolist()
        [2.0, 1.0, 3.0, 2.0]
    """
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    padded = np.pad(inside[box], 1).astype(np.float32)  # so that outlines close at the edge
    lines: Any = contour_generator(z=padded, line_type=LineType.ChunkCombinedCode).lines(0.5)
    (points,), (codes,) = lines
    return Path(points + np.array([columns[0], rows[0]]) - 0.5, codes)


def _scale_bar(panel: Panel) -> None:
    """The longest bar that fits, with its length, in the lower left corner."""
    left, top, width, height = panel.box
    fitting = [mm for mm in BAR_MM if mm * panel.scale[0] <= BAR_SHARE * width]
    if fitting:
        length, bottom = round(fitting[0] * panel.scale[0]), top + height
        panel.canvas.rectangle(left + 12, bottom - 15, length, BAR_PIXELS, face=TEXT)
        _write(panel, left + 12, bottom - 27, f"{fitting[0]} mm", size=9)


@dataclass(frozen=True)
class Cutter:
    """Cuts planes, rows down the page and columns across it, out of a volume in the LPS view.

    Args:
        view: how to look at the grid.
        volume: (X, Y, Z) in that view.
        labels: (X, Y, Z), the same.
        box: the part of the view that is shown.
        window_hu: black and white.
    """

    view: LpsView
    volume: Volume
    labels: Mask
    box: Box
    window_hu: tuple[float, float]

    def plane(self, across: int, k: int) -> Plane:
        """Slice k across an axis of the view: sagittal, coronal or axial."""
        shape = self.labels.shape
        where = [k if axis == across else part for axis, part in enumerate(self.box)]
        columns, rows = (axis for axis in range(3) if axis != across)
        upward = rows == FEET_HEAD  # the head belongs on top
        turn = (slice(None, None, -1 if upward else 1), slice(None))
        centre = [float(k) if axis == across else (n - 1) / 2 for axis, n in enumerate(shape)]
        at_mm = float((self.view.affine @ [*centre, 1.0])[across])
        left_right = "RL" if columns == RIGHT_LEFT else "AP"
        return Plane(
            np.clip(self.volume[tuple(where)].T[turn], *self.window_hu).astype(np.float32),
            np.ascontiguousarray(self.labels[tuple(where)].T[turn]),
            (self.view.spacing_mm[rows], self.view.spacing_mm[columns]),
            left_right + ("SI" if upward else "AP"),
            (minus(f"{'xyz'[across]} {at_mm:.1f} mm"), f"{k + 1} / {shape[across]}"),
            self.window_hu,
        )


def body_cutter(
    image: Image, labels: Mask, *, values: Sequence[int], window_hu: tuple[float, float]
) -> Cutter:
    """Cuts the part of an image that holds the body and all that is marked.

    Args:
        image: on whose grid the labels lie.
        labels: (X, Y, Z).
        values: of the labels that are marked.
        window_hu: black and white; what is brighter than the middle is body.

    Raises:
        ValueError: the labels have another shape, or the image's affine is singular.
    """
    if labels.shape != image.array.shape:
        raise ValueError(
            f"the mask has shape {labels.shape} and the image {image.array.shape}; "
            "give a mask on the image's grid"
        )
    view = lps_view(labels.shape, image.affine)
    volume = view.of(image.array)
    body = bright_box(volume, threshold=sum(window_hu) / 2, spacing=view.spacing_mm)
    box = join_boxes(body, view.along(voxels_per_slice(labels, values)))
    return Cutter(view, volume, view.of(labels), box, window_hu)


def join_boxes(box: Box, marked: Sequence[Counts]) -> Box:
    """The box, grown to hold all that is marked.

    Args:
        box: a part of a view.
        marked: voxels marked in each slice, (N,), for each axis of the view.
    """
    joined = []
    for part, counts in zip(box, marked, strict=True):
        filled = np.flatnonzero(counts)
        low, high = (
            (int(filled[0]), int(filled[-1]) + 1) if filled.size else (part.start, part.stop)
        )
        joined.append(slice(min(part.start, low), max(part.stop, high)))
    return joined[0], joined[1], joined[2]
