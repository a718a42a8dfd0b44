# SPDX-License-Identifier: Apache-2.0
"""The table and the picture of what a gate costs, threshold by threshold."""

import csv
import math
import os
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..atomic import replacing
from ..metrics.gate_cost import Cost

PANELS = {  # title to the columns drawn in it, in percent but for the last
    "lesion hidden by the gate": {"missed_percent": "lesion volume, %"},
    "slices": {"passed_percent": "passing, %", "false_percent": "passing without lesion, %"},
    "time": {"saved_percent": "saved, %"},
    "Dice of lesion": {"dice": "behind the gate"},
}


def write_gate_cost(path: str | os.PathLike[str], costs: Sequence[Cost]) -> None:
    """Write one line a threshold; a figure that has no meaning is empty.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Cost._fields)
        writer.writerows([_text(value) for value in cost] for cost in costs)


def draw_gate_cost(
    path: str | os.PathLike[str], costs: Sequence[Cost], chosen: Cost, *, title: str
) -> None:
    """Draw the columns against the threshold, with the chosen one marked.

    Thresholds that miss a whole case are shaded.

    Args:
        path: of the PNG; appears whole or not at all.
        costs: by rising threshold.
        chosen: one of them.
        title: what was measured.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(13, 3.6), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    thresholds = [cost.threshold for cost in costs]
    for axes, (name, curves) in zip(panels, PANELS.items(), strict=True):
        for column, label in curves.items():
            axes.plot(thresholds, [getattr(c, column) for c in costs], marker=".", label=label)
        _shade_missed_cases(axes, costs)
        axes.axvline(chosen.threshold, color="black", linestyle="--", linewidth=1)
        axes.set(title=name, xlabel="threshold", xlim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(f"{title}; dashed: chosen threshold {chosen.threshold:g}", fontsize=11,
                    parse_math=False)  # fmt: skip
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def _shade_missed_cases(axes: Axes, costs: Sequence[Cost]) -> None:
    first = next((cost.threshold for cost in costs if cost.missed_cases), None)
    if first is not None:
        axes.axvspan(first, 1, color="tab:red", alpha=0.08, label="a whole case is missed")


def _text(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.4f}"
