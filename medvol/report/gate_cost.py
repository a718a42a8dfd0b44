# SPDX-License-Identifier: Apache-2.0
"""The table and the picture of what a gate costs, threshold by threshold."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..files import write_csv
from ..metrics.masks.gate_cost import Cost
from ..text import decimals
from .figure import save_figure

LINEAR_PERCENT = 1.0  # below, the scale of what is hidden is linear; above, every tenfold a step


@dataclass(frozen=True)
class GateLook:
    """What the picture says beside the curves.

    Args:
        title: what was measured.
        finding: what is looked for, such as "lesion".
        most_missed_percent: of its volume, that a threshold may hide to be chosen.
        own_threshold: the bundle's; None for a gate that is off.
    """

    title: str
    finding: str
    most_missed_percent: float
    own_threshold: float | None = None


def write_gate_cost(path: str | os.PathLike[str], costs: Sequence[Cost]) -> None:
    """Write one line a threshold; a figure that has no meaning is empty.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    rows = [[x if isinstance(x, int) else decimals(x, 4, missing="") for x in c] for c in costs]
    write_csv(path, Cost._fields, rows)


def draw_gate_cost(
    path: str | os.PathLike[str], costs: Sequence[Cost], chosen: Cost, look: GateLook
) -> None:
    """Draw what is hidden, what is segmented, the time saved and Dice against the threshold.

    The chosen threshold and the bundle's own are marked; thresholds that miss a whole case are
    shaded.

    Args:
        path: of the PNG; appears whole or not at all.
        costs: by rising threshold.
        chosen: one of them.
        look: what else is said.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(13, 4.2), dpi=100, layout="constrained")
    hidden, slices, time, overlap = figure.subplots(1, 4)
    finding = look.finding

    _curve(hidden, costs, "missed_percent")
    hidden.set(title=f"{finding} hidden by the gate", ylabel=f"% of the {finding} volume")
    hidden.set_yscale("symlog", linthresh=LINEAR_PERCENT)
    hidden.set(ylim=(0, 130), yticks=(0, 1, 10, 100), yticklabels=("0", "1", "10", "100"))
    most = look.most_missed_percent
    hidden.axhline(most, color="tab:red", linewidth=1, label=f"at most {most:g} % may be hidden")

    _curve(slices, costs, "passed_percent", label="of all slices")
    _curve(slices, costs, "false_percent", label=f"of slices without {finding}")
    slices.set(title="slices that are segmented", ylabel="%", ylim=(0, 105))

    _curve(time, costs, "saved_percent")
    time.set(title="time saved", ylabel="% of the time without a gate", ylim=(None, 105))
    time.axhline(0, color="tab:red", linewidth=1, label="below: slower than without a gate")

    _curve(overlap, costs, "dice", label="behind the gate")
    overlap.set(title=f"Dice of {finding}", ylim=(0, 1.05))
    plain = chosen.dice - chosen.dice_change
    overlap.axhline(plain, color="tab:red", linewidth=1, label="without a gate")

    for axes in (hidden, slices, time, overlap):
        axes.set(xlabel="threshold", xlim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    marks = _mark([hidden, slices, time, overlap], costs, chosen, look)
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=9)
    figure.suptitle(look.title, fontsize=11, parse_math=False)
    save_figure(figure, path)


def _curve(axes: Axes, costs: Sequence[Cost], column: str, label: str | None = None) -> None:
    values = [getattr(cost, column) for cost in costs]
    axes.plot([cost.threshold for cost in costs], values, marker=".", label=label)


def _mark(
    panels: Sequence[Axes], costs: Sequence[Cost], chosen: Cost, look: GateLook
) -> list[Artist]:
    """Lines and shade that all panels share, each once for the legend."""
    marks: list[Artist] = []
    missed = next((cost.threshold for cost in costs if cost.missed_cases), None)
    own = look.own_threshold
    for axes in panels:
        words = f"chosen threshold {chosen.threshold:g}"
        marks = [axes.axvline(chosen.threshold, color="black", linestyle="--", label=words)]
        if own is not None:
            words = f"the bundle's own {own:g}"
            marks += [axes.axvline(own, color="black", linestyle=":", label=words)]
        if missed is not None:
            words = f"from {missed:g} on a whole case is missed"
            marks += [axes.axvspan(missed, 1, color="tab:red", alpha=0.12, label=words)]
    return marks
