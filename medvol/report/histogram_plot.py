# SPDX-License-Identifier: Apache-2.0
"""The curves of a histogram as points of a drawing, for the report's inline SVG."""

from collections.abc import Sequence
from typing import NamedTuple

from ..metrics.measurements import Histogram, Measurement

WIDTH, HEIGHT = 900, 250  # units of the drawing, without room for the axes' texts
TICK_HU = 200
PERCENT_STEPS = (1, 2, 5, 10, 20, 50)  # between grid lines: the first that gives at most five


class Tick(NamedTuple):
    """A place on an axis and its text."""

    at: float
    text: str


class Curve(NamedTuple):
    """One label: its outline as SVG points, from the left end of the base line to the right."""

    value: int
    name: str
    points: str


class Chart(NamedTuple):
    """What the template draws."""

    width: int
    height: int
    bin_hu: float
    curves: tuple[Curve, ...]
    hu_ticks: tuple[Tick, ...]
    percent_ticks: tuple[Tick, ...]


def plot(histogram: Histogram, rows: Sequence[Measurement]) -> Chart | None:
    """Steps of percent over HU, one curve for each label that has voxels; None without any."""
    shares = {
        row: histogram.shares_percent(row.value)
        for row in rows
        if row.value in histogram.counts and histogram.counts[row.value].any()
    }
    if not shares:
        return None
    edges = histogram.edges_hu
    low, high = float(edges[0]), float(edges[-1])
    highest = max(float(share.max()) for share in shares.values())
    step = next((s for s in PERCENT_STEPS if 5 * s >= highest), PERCENT_STEPS[-1])
    top = step * max(1, -int(-highest // step))

    def x(hu: float) -> float:
        return WIDTH * (hu - low) / (high - low)

    def y(percent: float) -> float:
        return HEIGHT * (1 - percent / top)

    curves = []
    for row, share in shares.items():
        corners = [(x(low), y(0))]
        for left, right, percent in zip(edges[:-1], edges[1:], share, strict=True):
            corners += [(x(left), y(percent)), (x(right), y(percent))]
        corners.append((x(high), y(0)))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        curves.append(Curve(row.value, row.name, points))
    first = TICK_HU * -int(-low // TICK_HU)
    hu_ticks = tuple(
        Tick(round(x(hu), 1), str(hu).replace("-", "−"))
        for hu in range(first, int(high) + 1, TICK_HU)
    )
    percent_ticks = tuple(Tick(round(y(p), 1), f"{p} %") for p in range(0, top + 1, step))
    return Chart(WIDTH, HEIGHT, float(edges[1] - edges[0]), tuple(curves), hu_ticks, percent_ticks)
