# SPDX-License-Identifier: Apache-2.0
"""The picture of slices: probability along z beside the coronal view, on one scale in mm."""

import os

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..atomic import replacing
from ..metrics.measurements import Mask, Volume
from ..spatial import Affine, slice_z_mm
from .canvas import BACKGROUND, DIM, NOTICE, TEXT, Color
from .fonts import drawable, families
from .overlay import Look
from .views import bright_box, lps_view

INCHES, DPI = (12.0, 6.4), 100
BELOW, ABOVE = "#5a6b80", "#ff9d4d"  # slices below the threshold, and those that count
FOCUS_COLOR: Color = (255, 90, 60)
FILL_ALPHA = 0.45
FRONT_BACK, FEET_HEAD = 1, 2  # axes of the view


def draw_slice_profile(
    path: str | os.PathLike[str],
    volume: Volume,
    affine: Affine,
    probability: npt.NDArray[np.floating],
    *,
    threshold: float,
    look: Look,
    labels: Mask | None = None,
) -> None:
    """Draw a coronal slice and, at the same height, the probability of each axial slice.

    The coronal slice is the one with most of the focus labels where there is a mask, else the
    middle of the body. The patient's right is on the left, the head on top.

    Args:
        path: of the PNG; appears whole or not at all.
        volume: (X, Y, Z).
        affine: (4, 4) voxel to mm.
        probability: (N,) of each slice between feet and head, in the array's order.
        threshold: lowest probability that counts, 0 to 1.
        look: window, focus and title.
        labels: (X, Y, Z) on the same grid; None without a mask.

    Raises:
        ValueError: the affine is singular, or the probabilities are not one a slice.
        InputError: E_NOSPACE, the file cannot be written.
    """
    z_mm = slice_z_mm(volume.shape, affine)
    if len(probability) != len(z_mm):
        raise ValueError(f"{len(probability)} probabilities for {len(z_mm)} slices; give one each")
    figure = Figure(figsize=INCHES, dpi=DPI, facecolor=BACKGROUND, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25], sharey=True)
    _coronal(left, volume, affine, look, labels)
    thickness = abs(float(z_mm[-1] - z_mm[0])) / max(1, len(z_mm) - 1)
    counts = np.asarray(probability) >= threshold
    colors = np.where(counts, ABOVE, BELOW)
    right.barh(z_mm, probability, height=thickness, color=colors.tolist(), linewidth=0)
    right.axvline(threshold, color=NOTICE, linestyle="--", linewidth=1.2)
    right.set(xlim=(0, 1), xlabel=f"probability of {drawable(look.focus_name)}")
    title = f"{int(counts.sum())} of {len(counts)} slices at or above {threshold:.2f}"
    right.set_title(title, color=TEXT, fontsize=11, loc="left")
    for axes in (left, right):
        axes.tick_params(colors=DIM, labelcolor=DIM)
        axes.xaxis.label.set_color(DIM)
        axes.yaxis.label.set_color(DIM)
        for side in axes.spines.values():
            side.set_color(DIM)
    right.set_facecolor("#14181d")
    figure.suptitle(
        drawable(look.title), color=TEXT, fontsize=15, x=0.01, ha="left", weight="bold",
        family=list(families()), parse_math=False,
    )  # fmt: skip
    figure.supxlabel("Research use only. Not a medical device.", color=DIM, fontsize=9, x=0.99,
                     ha="right")  # fmt: skip
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def _coronal(axes: Axes, volume: Volume, affine: Affine, look: Look, labels: Mask | None) -> None:
    """The coronal slice, its rows at their z in mm."""
    view = lps_view(volume.shape, affine)
    seen = view.of(volume)
    box = bright_box(seen, threshold=sum(look.window_hu) / 2, spacing=view.spacing_mm)
    marked = np.isin(view.of(labels), look.focus_values) if labels is not None else None
    at = (box[FRONT_BACK].start + box[FRONT_BACK].stop) // 2
    if marked is not None and marked.any():
        at = int(marked.sum(axis=(0, FEET_HEAD)).argmax())
    across = box[0]
    z_mm = slice_z_mm(seen.shape, view.affine)
    half = (float(z_mm[-1] - z_mm[0]) / max(1, len(z_mm) - 1)) / 2
    width_mm = (across.stop - across.start) * view.spacing_mm[0]
    extent = (0.0, width_mm, float(z_mm[0]) - half, float(z_mm[-1]) + half)
    low, high = look.window_hu
    axes.imshow(
        seen[across, at].T, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower",
        aspect="equal", interpolation="bilinear",
    )  # fmt: skip
    if marked is not None:
        tint = np.zeros((*marked[across, at].T.shape, 4))
        tint[..., :3] = np.array(FOCUS_COLOR) / 255
        tint[..., 3] = FILL_ALPHA * marked[across, at].T
        axes.imshow(tint, extent=extent, origin="lower", aspect="equal", interpolation="nearest")
    axes.set(xticks=[], ylabel="z, mm", ylim=extent[2:])
    axes.text(0.02, 0.5, "R", transform=axes.transAxes, color=DIM, va="center")
    axes.text(0.98, 0.5, "L", transform=axes.transAxes, color=DIM, va="center", ha="right")
