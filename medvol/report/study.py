# SPDX-License-Identifier: Apache-2.0
"""Pictures of a search for settings: how the figure grew, and which settings matter."""

import os
from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..files import replacing


def draw_history(
    path: str | os.PathLike[str],
    whole: Mapping[int, float],
    *,
    pruned: Mapping[int, float],
    metric: str,
) -> None:
    """Draw the figure of each trial, and the best so far.

    Args:
        path: of the PNG; appears whole or not at all.
        whole: number of the trial to its figure; at least one.
        pruned: the same of trials that were ended early, with their last figure.
        metric: name of the figure.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
    axes = figure.subplots()
    numbers = sorted(whole)
    best = list(accumulate((whole[n] for n in numbers), max))
    axes.step(numbers, best, where="post", color="C0", label="best so far")
    axes.scatter(numbers, [whole[n] for n in numbers], color="C0", s=18, label="trained")
    if pruned:
        axes.scatter(list(pruned), list(pruned.values()), color="grey", marker="x", s=18,
                     label="ended early")  # fmt: skip
    axes.set(xlabel="trial", ylabel=metric.replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def draw_importance(path: str | os.PathLike[str], shares: Mapping[str, float]) -> None:
    """Draw how much each setting matters, the most important on top.

    Args:
        path: of the PNG; appears whole or not at all.
        shares: setting to its share, all together 1.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    names: Sequence[str] = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(6, 1 + 0.4 * len(names)), dpi=100, layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [shares[name] for name in names], color="C0")
    axes.bar_label(bars, fmt="{:.2f}", padding=3, fontsize=8)
    axes.set(xlabel="importance", xlim=(0, 1.1 * max(shares.values())))
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))
