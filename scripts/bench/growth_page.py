# SPDX-License-Identifier: Apache-2.0
"""Figures of growth as a table and a picture."""

from pathlib import Path
from typing import Any

from .figures import Figures

COLOURS = {"medvol": "#2f6db5", "medvol-process": "#2f6db5", "before": "#e1a730",
           "stock-4": "#c8553d", "stock-1": "#c8553d"}  # fmt: skip


Rows = list[tuple[int, float, float]]  # how many, seconds, GiB


def show(figures: Figures, path: Path) -> None:
    """Print a row for each case and side, and draw them beside the JSON.

    Args:
        figures: whose cases are "slices 50", "classes 4", "cases 200".
        path: of the JSON.
    """
    print("\n" + "\n".join(table(figures)))
    draw(figures, path.with_suffix(".png"))
    print(f"\nfigures in {path}, picture in {path.with_suffix('.png')}")


def table(figures: Figures) -> list[str]:
    """A row for each case and side."""
    lines = ["| | side | seconds | peak GiB |", "| --- | --- | --- | --- |"]
    for word, place in figures.cases.items():
        for side, kept in place["sides"].items():
            found: dict[str, Any] = kept["runs"][-1]
            if "failed" in found:
                lines.append(f"| {word} | {side} | {found['failed']} | |")
            else:
                spent, peak = found["seconds"], found["peak_gib"]
                lines.append(f"| {word} | {side} | {spent:.1f} | {peak:.2f} |")
    return lines


def draw(figures: Figures, path: Path) -> None:
    """Seconds above, memory below, a column for each thing that grows."""
    drawn = _grown(figures)
    if not drawn:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        2, len(drawn), figsize=(3.4 * len(drawn), 4.6), sharex="col", squeeze=False
    )  # fmt: skip
    for column, (of, each) in enumerate(drawn.items()):
        for side, rows in each.items():
            numbers, *values = zip(*sorted(rows), strict=True)
            for row, figure_of in enumerate(values):
                axes[row][column].plot(numbers, figure_of, "o-", ms=3, label=side,
                                       color=COLOURS.get(side))  # fmt: skip
        axes[1][column].set_xlabel(of)
        axes[0][column].legend(fontsize=7, frameon=False)
        for row, unit in enumerate(("seconds", "peak GiB")):
            axes[row][column].set_ylim(0, 1.05 * axes[row][column].dataLim.ymax)
            axes[row][column].spines[["top", "right"]].set_visible(False)
            axes[row][column].set_ylabel(unit if column == 0 else "")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _grown(figures: Figures) -> dict[str, dict[str, Rows]]:
    """By what grows and by side."""
    drawn: dict[str, dict[str, Rows]] = {}
    for word, place in figures.cases.items():
        of, number = word.split()
        for side, kept in place["sides"].items():
            found = kept["runs"][-1]
            if "failed" not in found:
                row = (int(number), found["seconds"], found["peak_gib"])
                drawn.setdefault(of, {}).setdefault(side, []).append(row)
    return drawn
