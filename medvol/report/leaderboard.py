# SPDX-License-Identifier: Apache-2.0
"""Trainings beside each other, the best first: as a table, and as a picture of what each costs."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from ..files import write_csv
from .figure import save_figure

NAMED = 5  # of the best that have their rank in the picture; names would lie over each other


class Row(NamedTuple):
    """A training.

    Args:
        name: of it.
        value: the figure that decides, in the unit of its metric; None where it failed.
        parameters: of the network; None where it could not be made.
        seconds: of training and validation, in s.
        epochs: done.
        best_epoch: with the best figure.
        figures: name to value in that epoch, that which decides among them.
        stopped: why it ended, a word.
        reason: of a failure.
    """

    name: str
    value: float | None
    parameters: int | None
    seconds: float
    epochs: int
    best_epoch: int | None
    figures: Mapping[str, float]
    stopped: str
    reason: str


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The best first; of equal ones the one with fewer parameters; those without a figure last."""

    def place(row: Row) -> tuple[bool, float, float, str]:
        size = float("inf") if row.parameters is None else row.parameters
        return row.value is None, -(row.value or 0.0), size, row.name

    return sorted(rows, key=place)


def write_leaderboard(path: str | os.PathLike[str], rows: Sequence[Row]) -> None:
    """Write the rows in their order, with a column for each figure that any of them has.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figures = list(dict.fromkeys(name for row in rows for name in row.figures))
    lines = []
    for rank, row in enumerate(rows, start=1):
        values = [f"{row.figures[name]:.6g}" if name in row.figures else "" for name in figures]
        lines.append(["" if row.value is None else rank, row.name, row.parameters, *values,
                      row.best_epoch, row.epochs, row.seconds, row.stopped,
                      row.reason])  # fmt: skip
    columns = ["rank", "name", "parameters", *figures, "best_epoch", "epochs", "seconds",
               "stopped", "reason"]  # fmt: skip
    write_csv(path, columns, lines)


def draw_leaderboard(path: str | os.PathLike[str], rows: Sequence[Row], *, metric: str) -> None:
    """Draw the figure that decides against parameters and against seconds; the best are named.

    Args:
        path: of the PNG; appears whole or not at all.
        rows: the best first, as of `ranked`.
        metric: name of the figure.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    figure = Figure(figsize=(11, 4.5), dpi=100, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, costs, what in (
        (panels[0], [row.parameters for row in rows], "parameters"),
        (panels[1], [row.seconds for row in rows], "seconds of training"),
    ):
        known = [
            (cost, row.value, row.name)
            for cost, row in zip(costs, rows, strict=True)
            if cost and row.value is not None
        ]
        axes.set(xlabel=what, xscale="log")
        axes.grid(alpha=0.3)
        axes.margins(x=0.15)  # for the names beside the points
        for place, (cost, value, name) in enumerate(known):
            rank = f"1 {name}" if place == 0 else str(place + 1)
            axes.scatter(
                cost, value, color="C3" if place == 0 else "C0", s=40 if place == 0 else 18
            )
            if place < NAMED:
                axes.annotate(rank, (cost, value), (4, 4), textcoords="offset points", fontsize=7)
    panels[0].set_ylabel(metric.replace("_", " "))
    save_figure(figure, path)
