# SPDX-License-Identifier: Apache-2.0
"""Figures as tables, goals and a picture."""

from pathlib import Path
from typing import Any

from .figures import Figures
from .goals import goals

STOCK = ("stock-1", "stock-4", "stock-parts", "stock")
STAGES = {
    "read": "#7f8fa6", "prepare": "#e1a730", "network": "#2f6db5", "restore": "#c8553d",
    "measure": "#9a6fb0", "write": "#6a994e", "all but the network": "#bbbbbb",
}  # fmt: skip


def best_stock(figures: Figures, case: tuple[str, str]) -> tuple[str, dict[str, Any]] | None:
    """The faster of MONAI's sides, and its name."""
    ran = [(name, found) for name in STOCK if (found := figures.side(case, name))]
    return min(ran, key=lambda one: one[1]["seconds"]["median"]) if ran else None


def show(figures: Figures, path: Path) -> None:
    """Print the tables and the goals, and draw the picture beside the JSON.

    Args:
        figures: all there are.
        path: of the JSON.
    """
    for place in figures.cases.values():
        print("\n" + "\n".join(table(figures, place)))
    print("\n" + "\n".join(stages(figures)))
    print()
    for goal in goals(figures):
        print(f"{goal.met:12} {goal.what}: goal {goal.goal}, {goal.figure}")
    picture = path.with_suffix(".png")
    draw(figures, picture)
    print(f"\nfigures in {path}, picture in {picture}")


def table(figures: Figures, place: dict[str, Any]) -> list[str]:
    """A row for each side of a case: seconds, memory, how alike its mask is.

    Args:
        figures: all there are.
        place: of the case in them.
    """
    case = (place["bundle"], place["volume"])
    shape = " x ".join(map(str, place["shape"]))
    spacing = " x ".join(f"{mm:g}" for mm in place["spacing_mm"])
    best = best_stock(figures, case)
    lines = [
        f"{case[0]} on {case[1]}, {shape} voxels of {spacing} mm:",
        "",
        "| side | seconds (least - most; runs) | network | peak GiB | times as fast | Dice |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in place["sides"]:
        found = figures.side(case, name)
        if found is None:
            why = place["sides"][name]["runs"][-1]["failed"]
            lines.append(f"| {name} | failed: {why} | | | | |")
            continue
        spent, whole = found["seconds"], "process" in name
        other = figures.side(case, "stock-process") if whole else best and best[1]
        times = f"{other['seconds']['median'] / spent['median']:.2f}" if other else ""
        inside = f"{found['forward_s']['median']:.2f}" if found.get("forward_s") else ""
        alike = f"{found['agreement']['dice']:.5f}" if found["agreement"] else ""
        lines.append(
            f"| {name} | {spent['median']:.2f} ({spent['min']:.2f} - {spent['max']:.2f}; "
            f"{found['runs']}) | {inside} | {found['peak_gib']['median']:.2f} | {times} | {alike} |"
        )
    return lines


def stages(figures: Figures) -> list[str]:
    """A row for each case and side: seconds of each stage, medians."""
    lines = [f"| case | side | {' | '.join(STAGES)} |", "| --- " * (2 + len(STAGES)) + "|"]
    for word, place in figures.cases.items():
        for name in place["sides"]:
            found = figures.side((place["bundle"], place["volume"]), name)
            if found and found["stages"]:
                each = [f"{found['stages'][s]:.2f}" if s in found["stages"] else "" for s in STAGES]
                lines.append(f"| {word} | {name} | {' | '.join(each)} |")
    return lines


def draw(figures: Figures, path: Path) -> None:
    """Bars of seconds by stage, and of memory, for each case and side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cases = [(c["bundle"], c["volume"]) for c in figures.cases.values()]
    drawn = [
        (case, {name: found for name in figures.cases[" ".join(case)]["sides"]
                if (found := figures.side(case, name)) and found["stages"]})
        for case in cases
    ]  # fmt: skip
    drawn = [(case, found) for case, found in drawn if found]
    if not drawn:
        return
    rows = sum(len(found) for _, found in drawn) + len(drawn)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 1.4 + 0.3 * rows), width_ratios=(3, 1), sharey=True
    )  # fmt: skip
    y, ticks = 0.0, []
    for case, found in drawn:
        left.text(0, y, f"{case[0]}, {case[1]}", va="center", fontsize=8, fontweight="bold")
        for name, side in found.items():
            y += 1
            ticks.append((y, name))
            start = 0.0
            for stage, colour in STAGES.items():
                spent = side["stages"].get(stage, 0.0)
                left.barh(y, spent, left=start, color=colour, height=0.75)
                start += spent
            left.text(start, y, f" {side['seconds']['median']:.1f} s", va="center", fontsize=7)
            peak = side["peak_gib"]["median"]
            right.barh(y, peak, color="#8d7b9d", height=0.75)
            right.text(peak, y, f" {peak:.2f}", va="center", fontsize=7)
        y += 1.2
    left.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=7)
    left.invert_yaxis()
    left.set_xlabel("seconds, median")
    right.set_xlabel("peak GiB")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in STAGES.values()]
    left.legend(handles, STAGES, fontsize=7, loc="best", frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
