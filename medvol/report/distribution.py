# SPDX-License-Identifier: Apache-2.0
"""How the values of a figure are spread in each group of cases: as drawings that a page holds."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..text import minus
from .html import Tick

Values = npt.NDArray[np.float64]
WIDTH, HEIGHT = 600, 36  # units of a drawing
FEWEST_BINS, MOST_BINS = 8, 40  # between: twice the root of the number of values
MOST_GROUPS = 12  # the others are taken together
REST = "other groups"
SKEWED = (
    10  # times the median: where more than 5 % of the values lie above, the axis is logarithmic
)
DECADES = 4  # below the highest value that a logarithmic axis shows
MOST_TICKS = 6


class Scale(NamedTuple):
    """An axis; each of its bins is as wide as any other in the drawing.

    Args:
        edges: (bins + 1,) of the bins, ascending, in the unit of the figure.
        ticks: places in units of the drawing, and their texts.
        first: bin that is drawn whole; those before, of values near 0, may be cut at the top.
    """

    edges: Values
    ticks: tuple[Tick, ...]
    first: int = 0

    def place(self, value: float) -> float:
        """Where a value of any unit lies on the axis, 0 to `WIDTH`."""
        places = np.linspace(0, WIDTH, len(self.edges))
        return float(np.interp(value, self.edges, places))


class Spread(NamedTuple):
    """The values of one group.

    Args:
        name: of the group; empty where there are none.
        number: of values.
        points: outline of the histogram, for a polygon of SVG.
        quartiles: the values below which 25, 50 and 75 % lie.
        places: of the quartiles, in units of the drawing.
        lowest, highest: values, in the unit of the figure.
        zero_percent: of the values that are 0.
    """

    name: str
    number: int
    points: str
    quartiles: tuple[float, ...]
    places: tuple[float, ...]
    lowest: float
    highest: float
    zero_percent: float


class Distribution(NamedTuple):
    """A figure, and how it is spread.

    Args:
        figure: its name.
        ticks: of the axis that all groups share.
        groups: by their names; the drawings of all have one scale.
    """

    figure: str
    ticks: tuple[Tick, ...]
    groups: tuple[Spread, ...]


def distribution(figure: str, groups: Mapping[str, Sequence[float]]) -> Distribution | None:
    """How a figure is spread in each group; None where there is no value.

    Beyond `MOST_GROUPS` the smallest groups are taken together.

    Args:
        figure: its name.
        groups: name to values.

    Example:
        >>> found = distribution("lung_ml", {"a": [1.0, 2.0, 3.0], "b": []})
        >>> [(group.name, group.number, group.quartiles) for group in found.groups]
        [('a', 3, (1.5, 2.0, 2.5))]
    """
    named = {name: np.asarray(values, np.float64) for name, values in groups.items() if len(values)}
    order = sorted(named, key=lambda name: (-len(named[name]), name))
    kept = order if len(order) <= MOST_GROUPS else order[: MOST_GROUPS - 1]
    parts = {name: named[name] for name in sorted(kept)}
    if rest := [named[name] for name in order[len(kept) :]]:
        parts[REST] = np.concatenate(rest)
    if not parts:
        return None
    largest = max(map(len, parts.values()))
    bins = min(MOST_BINS, max(FEWEST_BINS, math.ceil(2 * math.sqrt(largest))))
    scale = scale_of(np.concatenate([*parts.values()]), bins)
    shares = {name: np.histogram(x, scale.edges)[0] / len(x) for name, x in parts.items()}
    whole = {name: share[scale.first :] for name, share in shares.items()}
    top = max(float(share.max()) for share in whole.values())
    heights = {name: (share / top).clip(max=1) for name, share in shares.items()}
    spreads = [_spread(name, parts[name], heights[name], scale) for name in parts]
    return Distribution(figure, scale.ticks, tuple(spreads))


def scale_of(values: Values, bins: int) -> Scale:
    """An axis for values: logarithmic where a few are far above the others and none is below 0.

    The first bin of a logarithmic axis holds all that is too small for it, 0 among them.

    Args:
        values: (n,) finite ones in any unit, at least one.
        bins: how many.
    """
    low, high = float(values.min()), float(values.max())
    if low >= 0 and float(np.quantile(values, 0.95)) > SKEWED * float(np.median(values)):
        return _logarithmic(high, bins)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = _step(high - low)
    edges = np.linspace(step * math.floor(low / step), step * math.ceil(high / step), bins + 1)
    first, last = round(edges[0] / step), round(edges[-1] / step)
    axis = Scale(edges, ())
    marks = [step * number for number in range(first, last + 1)]
    return axis._replace(ticks=tuple(Tick(round(axis.place(x), 1), _text(x)) for x in marks))


def _logarithmic(high: float, bins: int) -> Scale:
    power = math.ceil(math.log10(high))
    edges = np.concatenate([[0.0], np.geomspace(10.0 ** (power - DECADES), high, bins)])
    axis = Scale(edges, (), first=1)
    powers = [10.0**exponent for exponent in range(power - DECADES + 1, power + 1)]
    ticks = [Tick(round(axis.place(x), 1), _text(x)) for x in powers if x <= high]
    return axis._replace(ticks=(Tick(0.0, "0"), *ticks))


def _step(reach: float) -> float:
    """1, 2 or 5 times a power of ten, so that few such steps go over a range."""
    power = 10.0 ** math.floor(math.log10(reach / MOST_TICKS))
    return power * next(x for x in (1, 2, 5, 10) if x * power >= reach / MOST_TICKS)


def _spread(name: str, values: Values, heights: Values, scale: Scale) -> Spread:
    """The values of a group.

    Args:
        name: of the group.
        values: (n,) in the unit of the figure.
        heights: (bins,) 0 to 1.
        scale: the axis.
    """
    corners, width = [(0.0, float(HEIGHT))], WIDTH / len(heights)
    for number, height in enumerate(heights):
        y = HEIGHT * (1 - float(height))
        corners += [(width * number, y), (width * (number + 1), y)]
    corners.append((float(WIDTH), float(HEIGHT)))
    quartiles = tuple(float(x) for x in np.quantile(values, (0.25, 0.5, 0.75)))
    return Spread(
        name, len(values), " ".join(f"{x:g},{y:.1f}" for x, y in corners), quartiles,
        tuple(round(scale.place(x), 1) for x in quartiles),
        float(values.min()), float(values.max()), 100 * float((values == 0).mean()),
    )  # fmt: skip


def _text(value: float) -> str:
    return minus(f"{value:,.6g}")
