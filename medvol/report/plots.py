# SPDX-License-Identifier: Apache-2.0
"""Plots on white: ROC and precision over recall, calibration, the course of a search."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..metrics.classes.calibration import Bin
from ..metrics.classes.evaluation import POSITIVE, ClassEvaluation
from ..metrics.classes.ranking import (
    Band,
    Curve,
    precision_band,
    precision_recall_curve,
    roc_band,
    roc_curve,
)
from ..metrics.intervals import draw_patients
from .figure import save_figure
from .letters import drawable, families

if TYPE_CHECKING:
    from optuna import Study

MOST_CURVES = 10  # as many colours differ clearly
DOT = 300.0  # square points of a dot that stands for every case


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
    chosen = [POSITIVE] if evaluation.two else numbers
    draws = draw_patients([case.patient for case in evaluation.cases])
    found: list[ClassCurves] = []
    for number in chosen:
        name, truth = evaluation.names[number], evaluation.truth == number
        if not truth.any() or truth.all() or len(found) == MOST_CURVES:
            continue
        score = evaluation.probability[:, number]
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
    save_figure(figure, path)


def draw_reliability(
    path: str | os.PathLike[str],
    groups: Mapping[str, Sequence[Bin]],
    *,
    title: str = "",
    cases: str = "slices",
    share: str = "share with a finding",
) -> None:
    """Draw share of positives over mean probability, bin by bin; the diagonal is perfect.

    The area of a dot tells how many cases its bin has.

    Args:
        path: of the PNG; appears whole or not at all.
        groups: name of a data set to its bins, see `metrics.classes.calibration.reliability`.
        title: of the picture.
        cases: what is counted, in the plural.
        share: what the height is.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    for index, (name, bins) in enumerate(groups.items()):
        color = f"C{index}"
        x, y = [b.probability for b in bins], [b.positive_share for b in bins]
        number = sum(b.cases for b in bins)
        axes.plot(x, y, color=color, linewidth=1, label=f"{name} ({number} {cases})")
        axes.scatter(x, y, s=[DOT * b.cases / number for b in bins], color=color, alpha=0.6)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title=title, aspect="equal",
             xlabel="probability given", ylabel=share)  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    save_figure(figure, path)


def draw_history(path: str | os.PathLike[str], study: "Study", *, metric: str) -> None:
    """Draw the figure of each trial and the best so far by Optuna, and what was ended early.

    Args:
        path: of the PNG; appears whole or not at all.
        study: with one complete trial or more.
        metric: name of the figure.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    from optuna.trial import TrialState
    from optuna.visualization.matplotlib import plot_optimization_history

    def draw() -> Axes:
        axes = plot_optimization_history(study, target_name=metric.replace("_", " "))
        trials = study.get_trials(states=(TrialState.PRUNED,))
        ended = {t.number: t.value for t in trials if t.value is not None}
        if ended:
            axes.scatter(
                list(ended), list(ended.values()), color="grey", marker="x", label="ended early"
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        return axes

    _by_optuna(path, draw)


def draw_importance(path: str | os.PathLike[str], study: "Study") -> None:
    """Draw by Optuna how much each setting matters.

    Args:
        path: of the PNG; appears whole or not at all.
        study: with two complete trials or more that differ.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    from optuna.visualization.matplotlib import plot_param_importances

    _by_optuna(path, lambda: plot_param_importances(study))


def _by_optuna(path: str | os.PathLike[str], draw: Callable[[], Axes]) -> None:
    """Save a plot of Optuna, which sets a style for all that follows and leaves a figure open."""
    from matplotlib import pyplot
    from optuna.exceptions import ExperimentalWarning

    with pyplot.style.context("default"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # experimental since Optuna 2.2
        draw()
        figure = pyplot.gcf()
        try:
            figure.set_layout_engine("constrained")
            save_figure(figure, path)
        finally:
            pyplot.close(figure)


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
