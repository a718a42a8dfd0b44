# SPDX-License-Identifier: Apache-2.0
"""The picture of slices: probability along z beside the coronal view, on one scale in mm."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ..images.image import Image
from ..metrics.measurements import Mask, Volume
from ..spatial import slice_z_mm
from .figure import DIM, NOTED, Color, Page, outlined
from .letters import drawable, families
from .overlay import Look
from .planes import FEET_HEAD, FRONT_BACK, RIGHT_LEFT
from .views import bright_box, lps_view

WIDTH, LEFT, RIGHT, BELOW = 1200, 52, 16, 44  # pixels: the page, and room for numbers on the axes
TALLEST = 1.6  # height of a panel over its width; a taller coronal slice is drawn smaller
FLATTEST = 0.25  # height over width; a flatter stack is stretched, or its bars are not seen
FOCUS_COLOR: Color = (255, 157, 77)
QUIET, LOUD = "#66788f", "#ff9d4d"  # slices below the threshold, and those that count: as the focus
PANEL, FILL_ALPHA = "#14181d", 0.45


def draw_slice_profile(
    path: str | os.PathLike[str],
    image: Image,
    *,
    probability: npt.NDArray[np.floating[Any]],
    threshold: float,
    look: Look,
    mask: Mask | None = None,
) -> None:
    """Draw a coronal slice and, at the same height, the probability of each axial slice.

    The coronal slice is the one with most of the focus labels where there is a mask, else the
    middle of the body. The patient's right is on the left, the head on top. A stack that is flatter
    than `FLATTEST` is stretched in height, and a line says so.

    Args:
        path: of the PNG; appears whole or not at all.
        image: a volume.
        probability: (N,) of each slice between feet and head, in the array's order.
        threshold: lowest probability that counts, 0 to 1.
        look: window, focus and title.
        mask: (X, Y, Z) on the image's grid; None without a mask.

    Raises:
        ValueError: the affine is singular, or the probabilities are not one a slice.
        InputError: E_NOSPACE, the file cannot be written.
    """
    z_mm = slice_z_mm(image.array.shape, image.affine)
    if len(probability) != len(z_mm):
        raise ValueError(f"{len(probability)} probabilities for {len(z_mm)} slices; give one each")
    step_mm = abs(float(z_mm[-1] - z_mm[0])) / max(1, len(z_mm) - 1) or 1.0
    extent = (float(z_mm.min()) - step_mm / 2, float(z_mm.max()) + step_mm / 2)
    coronal, marked, width_mm = _coronal(image, look, mask)
    flat = (extent[1] - extent[0]) / width_mm
    tall = min(max(flat, FLATTEST), TALLEST)
    page = Page([tall], 2, width=WIDTH, left=LEFT, right=RIGHT, below=BELOW)
    page.title(look.title)
    left = page.axes(*page.place(0, 0), ylabel="z, mm", xticks=[])
    low, high = look.window_hu
    options: dict[str, Any] = {"extent": (0.0, width_mm, *extent), "origin": "lower"}
    left.imshow(coronal, cmap="gray", vmin=low, vmax=high, aspect="auto", **options)
    if marked is not None:
        tint = np.zeros((*marked.shape, 4))
        tint[...] = (*(c / 255 for c in FOCUS_COLOR), FILL_ALPHA)
        tint[..., 3] *= marked
        left.imshow(tint, aspect="auto", interpolation="nearest", **options)
    beyond = max(0.0, ((extent[1] - extent[0]) / tall - width_mm) / 2)
    if flat < FLATTEST:
        stretched = f"coronal slice, stretched {tall / flat:.1f} times in height"
        page.text(page.place(0, 0)[0], 58, stretched, color=NOTED)
    left.set(xlim=(-beyond, width_mm + beyond), ylim=extent)
    for x, side in ((0.02, "R"), (0.96, "L")):
        left.text(x, 0.5, side, transform=left.transAxes, va="center", **outlined())

    right = page.axes(*page.place(0, 1), sharey=left)
    counts = np.asarray(probability) >= threshold
    colors = np.where(counts, LOUD, QUIET).tolist()
    right.barh(z_mm, probability, height=0.86 * step_mm, color=colors, linewidth=0)
    right.axvline(threshold, color=NOTED, linestyle="--", linewidth=1.2)
    right.set(xlim=(0, 1), xlabel=f"probability of {drawable(look.focus_name)}")
    right.tick_params(labelleft=False)
    for axes, color in ((left, "black"), (right, PANEL)):
        _dim(axes, color)
    said = f"{int(counts.sum())} of {len(counts)} slices at or above {threshold:.2f}"
    page.text(page.place(0, 1)[0], 58, said)
    page.save(path)


def _coronal(
    image: Image, look: Look, mask: Mask | None
) -> tuple[Volume, npt.NDArray[np.bool_] | None, float]:
    """The coronal slice (Z, X), feet first, what is marked in it, and its width in mm."""
    view = lps_view(image.array.shape, image.affine)
    seen = view.of(image.array)
    box = bright_box(seen, threshold=sum(look.window_hu) / 2, spacing=view.spacing_mm)
    across, at = box[RIGHT_LEFT], (box[FRONT_BACK].start + box[FRONT_BACK].stop) // 2
    width_mm = (across.stop - across.start) * view.spacing_mm[RIGHT_LEFT]
    if mask is None:
        return seen[across, at].T, None, width_mm
    marked = np.isin(view.of(mask), look.focus_values)
    if marked.any():
        at = int(marked.sum(axis=(RIGHT_LEFT, FEET_HEAD)).argmax())
    return seen[across, at].T, marked[across, at].T, width_mm


def _dim(axes: Axes, color: str) -> None:
    """Quiet colours for everything but the content."""
    axes.set_facecolor(color)
    axes.tick_params(colors=DIM)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=DIM, family=list(families()))
    axes.spines[:].set_color(DIM)
