# SPDX-License-Identifier: Apache-2.0
"""The picture of ROC and of precision over recall, with a band where the curves may lie."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files import replacing
from ..metrics.classes.evaluation import POSITIVE, ClassEvaluation
from ..metrics.classes.ranking import (
    Band,
    Curve,
    precision_band,
    precision_recall_curve,
    roc_band,
    roc_curve,
)
from .fonts import drawable, families

MOST_CURVES = 10  # colours that can be told apart


class ClassCurves(NamedTuple):
    """Curves of one class against all others.

    Args:
        name: of the class, with its areas in words.
        roc, roc_band: sensitivity over the share of others that pass.
        precision, precision_band: precision over recall.
        share: of the images that are of the class; what precision is without any skill.
    """

    name: str
    roc: Curve
    roc_band: Band
    precision: Curve
    precision_band: Band
    share: float


def curves_of(evaluation: ClassEvaluation) -> list[ClassCurves]:
    """Curves of each class that occurs and is not alone; of two classes, of the second only."""
    numbers = range(len(evaluation.names))
    chosen = [POSITIVE] if len(evaluation.names) == POSITIVE + 1 else numbers
    found: list[ClassCurves] = []
    for number in chosen:
        name, truth = evaluation.names[number], evaluation.truth == number
        if not truth.any() or truth.all() or len(found) == MOST_CURVES:
            continue
        score, draws = evaluation.probability[:, number], evaluation.draws
        found.append(
            ClassCurves(
                name,
                roc_curve(score, truth),
                roc_band(score, truth, draws),
                precision_recall_curve(score, truth),
                precision_band(score, truth, draws),
                float(truth.mean()),
            )
        )
    return found


def draw_curves(path: str | os.PathLike[str], curves: Sequence[ClassCurves]) -> None:
    """Draw ROC on the left, precision over recall on the right; dotted: without any skill.

    Args:
        path: of the PNG; appears whole or not at all.
        curves: of `curves_of`, one or more.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(10, 5.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    for index, curve in enumerate(curves):
        color = f"C{index}"
        _curve(left, curve.roc, curve.roc_band, curve.name, color=color)
        _curve(right, _from_nothing(curve.precision), curve.precision_band, curve.name, color=color)
        right.axhline(curve.share, color=color, linestyle=":", linewidth=1)
    _finish(left, "share of the others that pass (1 - specificity)", "sensitivity", "ROC")
    _finish(right, "recall (sensitivity)", "precision", "Precision over recall")
    left.legend(loc="lower right", fontsize=8, prop={"family": list(families()), "size": 8})
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def _curve(axes: Axes, curve: Curve, band: Band, name: str, *, color: str) -> None:
    axes.fill_between(band.x, band.low, band.high, color=color, alpha=0.18, linewidth=0)
    axes.plot(curve.x, curve.y, color=color, linewidth=1.6, label=drawable(name))


def _from_nothing(curve: Curve) -> Curve:
    """The same from recall 0 on, at the height of its first point."""
    return Curve(np.r_[0.0, curve.x], np.r_[curve.y[:1], curve.y], np.r_[np.inf, curve.threshold])


def _finish(axes: Axes, x: str, y: str, title: str) -> None:
    settings: dict[str, Any] = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02), "aspect": "equal"}
    axes.set(xlabel=x, ylabel=y, title=title, **settings)
    axes.grid(alpha=0.3)
