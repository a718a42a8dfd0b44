# SPDX-License-Identifier: Apache-2.0
"""Figures of training input as a table and a picture."""

from pathlib import Path
from typing import Any

from .figures import Figures, disturbed
from .machine import spread

COLOURS = {"stock": "#c8553d", "medvol": "#2f6db5"}
NAMES = ("samples_per_s", "peak_gib", "steps_per_s")
Middle = dict[str, dict[str, float]]


def in_words(run: dict[str, Any]) -> str:
    """A run in a line."""
    if "failed" in run:
        return str(run["failed"])
    steps = f", {run['steps_per_s']:.2f} steps a second" if "steps_per_s" in run else ""
    return f"{run['samples_per_s']:.1f} samples a second, {run['peak_gib']:.2f} GiB{steps}"


def middle(place: dict[str, Any], side: str) -> Middle:
    """Median, least and most of each figure of a side; none where it did not run.

    Runs that others disturbed do not count, where there are any else.
    """
    runs = [one for one in place["sides"].get(side, {}).get("runs", ()) if "failed" not in one]
    runs = [one for one in runs if not disturbed(one)] or runs
    return {
        name: spread([one[name] for one in runs])
        for name in NAMES
        if runs and all(name in one for one in runs)
    }


def gain(place: dict[str, Any], name: str = "samples_per_s") -> float | None:
    """How many times as many medvol gives as MONAI."""
    ours, theirs = (middle(place, side).get(name) for side in ("medvol", "stock"))
    return ours["median"] / theirs["median"] if ours and theirs else None


def table(figures: Figures) -> list[str]:
    """A row for each recipe, number of workers and side."""
    lines = [
        "| recipe | workers | side | samples a second | gain | peak GiB | steps a second |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for place in figures.cases.values():
        for side in place["sides"]:
            found = middle(place, side)
            times = gain(place) if side == "medvol" else None
            cells = [
                place["recipe"], str(place["workers"]), side, _cell(found, "samples_per_s", 1),
                "" if times is None else f"{times:.1f}", _cell(found, "peak_gib", 2),
                _cell(found, "steps_per_s", 2),
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def draw(figures: Figures, path: Path) -> None:
    """Samples a second and memory, a pair of bars for each recipe and number of workers."""
    places = [p for p in figures.cases.values() if gain(p) is not None]
    if not places:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8.6, 0.9 + 0.55 * len(places)), sharey=True)
    for axis, name, unit in zip(axes, NAMES, ("samples a second", "peak GiB"), strict=False):
        for shift, (side, colour) in zip((-0.2, 0.2), COLOURS.items(), strict=True):
            found = [middle(place, side)[name] for place in places]
            values = [one["median"] for one in found]
            errors = [
                [one["median"] - one["min"] for one in found],
                [one["max"] - one["median"] for one in found],
            ]
            axis.barh([n + shift for n in range(len(places))], values, 0.38, xerr=errors,
                      color=colour, label="MONAI" if side == "stock" else side,
                      error_kw={"lw": 0.8})  # fmt: skip
        axis.set_xlabel(unit)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(
        range(len(places)), [f"{p['recipe']}, {p['workers']} workers" for p in places], fontsize=8
    )
    axes[0].invert_yaxis()
    axes[1].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cell(found: Middle, name: str, digits: int) -> str:
    if name not in found:
        return ""
    one = found[name]
    least, most = (f"{one[word]:.{digits}f}" for word in ("min", "max"))
    return f"{one['median']:.{digits}f} ({least} to {most})"
