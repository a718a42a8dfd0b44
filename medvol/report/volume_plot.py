# SPDX-License-Identifier: Apache-2.0
"""The picture of predicted volumes beside true ones, after Bland and Altman."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..metrics.intervals import Numbers
from ..metrics.masks.volume_agreement import VolumeAgreement
from ..text import figure_text
from .figure import save_figure
from .letters import drawable, families

MOST_NAMED = 10  # cases beyond the limits whose names stand beside them
EDGE = 2.0  # of ratios, beyond the farthest, where cases without one are drawn


def draw_volumes(
    path: str | os.PathLike[str], agreement: VolumeAgreement, names: list[str], *, region: str
) -> None:
    """Draw a dot a case: how far the predicted volume is off, over the mean of both volumes.

    Solid is the bias, dashed are the limits of agreement, at their right end are their intervals;
    dotted is where both volumes are equal. Of ratios both axes are logarithmic, the mean is the
    geometric one, and triangles at the edges are the cases with one empty mask: at the upper one
    falsely marked, at the lower one missed, at the volume of the other mask.

    Args:
        path: of the PNG; appears whole or not at all.
        agreement: of three cases or more.
        names: of all cases; those beyond the limits are written.
        region: whose volumes these are.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(9, 5), dpi=100, layout="constrained")
    axes = figure.subplots()
    x, y = _places(agreement)
    used = agreement.used
    axes.scatter(x[used], y[used], s=28, color="C0", alpha=0.75, zorder=3)
    _draw_lines(axes, agreement)
    if agreement.as_ratio:
        _draw_empty(axes, agreement, y[used])
    beyond = used & ((y < agreement.low.value) | (y > agreement.high.value))
    for case in np.flatnonzero(beyond)[:MOST_NAMED]:
        axes.annotate(
            drawable(names[case]), (x[case], y[case]), xytext=(6, 3), textcoords="offset points",
            fontsize=8, family=list(families()),
        )  # fmt: skip
    difference = "predicted / true volume" if agreement.as_ratio else "predicted less true, ml"
    mean = "geometric mean" if agreement.as_ratio else "mean"
    axes.set(xlabel=f"{mean} of predicted and true volume, ml", ylabel=difference)
    axes.set_title(drawable(region), family=list(families()))
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def _places(agreement: VolumeAgreement) -> tuple[Numbers, Numbers]:
    """(cases,) mean of both volumes, and difference or ratio; of no use for cases not used."""
    true, predicted = agreement.true_ml, agreement.predicted_ml
    if agreement.as_ratio:
        safe = np.where(agreement.used, true, 1.0)
        return np.sqrt(true * predicted), predicted / safe
    return (true + predicted) / 2, predicted - true


def _draw_lines(axes: Axes, agreement: VolumeAgreement) -> None:
    axes.axhline(1.0 if agreement.as_ratio else 0.0, color="grey", linestyle=":", linewidth=1)
    beside = axes.get_yaxis_transform()  # across in shares of the picture, upwards in the data
    for estimate, style in ((agreement.low, "--"), (agreement.bias, "-"), (agreement.high, "--")):
        axes.axhline(estimate.value, color="C1", linestyle=style, linewidth=1.4)
        ends = estimate.low, estimate.high
        axes.plot((0.985, 0.985), ends, color="C1", linewidth=4, alpha=0.5, transform=beside)
        axes.annotate(
            figure_text(estimate.value), (1, estimate.value), xycoords=beside,
            xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, color="C1",
            annotation_clip=False,
        )  # fmt: skip


def _draw_empty(axes: Axes, agreement: VolumeAgreement, ratios: Numbers) -> None:
    """Logarithmic axes, and the cases with one empty mask at their edges."""
    axes.set(xscale="log", yscale="log")
    lines = [*agreement.low[:3], *agreement.high[:3], 1.0]
    values = np.concatenate([ratios, lines])
    low, high = np.nanmin(values) / EDGE, np.nanmax(values) * EDGE
    true, predicted = agreement.true_ml, agreement.predicted_ml
    for there, other, y, marker in ((true, predicted, low, "v"), (predicted, true, high, "^")):
        empty = (there > 0) & (other == 0)
        axes.scatter(there[empty], np.full(empty.sum(), y), marker=marker, color="C3", zorder=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=30))
        axis.set_major_formatter(FuncFormatter(lambda value, _: figure_text(value)))
        axis.set_minor_formatter(NullFormatter())
