# SPDX-License-Identifier: Apache-2.0
"""The goals of what a run costs beside its network, and which of them the figures meet."""

from typing import Any, NamedTuple


class Limit(NamedTuple):
    """A goal: what, of which part and figure, at most or at least."""

    what: str
    part: str
    name: str
    goal: float
    least: bool = False


LIMITS = (
    Limit("imports against `import monai`, times", "imports", "times", 1.1),
    Limit("`medvol predict` of 64^3 as a process less imports, s", "small", "rest_s", 2.0),
    Limit("the same, seconds that its record does not name, s", "small", "unnamed_s", 0.5),
    Limit("folder of 50 small volumes: a case beside its network, s", "folder", "beside_s", 0.2),
    Limit("the same, memory against one volume, times", "folder", "memory", 1.1),
    Limit("all but forward passes, 300, MONAI's over medvol's", "large", "times", 15, least=True),
    Limit("the same as a process, seconds that no record names", "large", "unnamed_s", 0.5),
    Limit("radiographs a second, from JPEG", "radiographs", "rate", 150.0, least=True),
    Limit("a batch of one radiograph, ms", "radiographs", "one_ms", 30.0),
)


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What, goal, figure, and "met", "NOT MET" or "not measured", of each.

    Args:
        figures: by part and name, as `bench_process.py` keeps them.
    """
    found = []
    for limit in LIMITS:
        value = figures.get(limit.part, {}).get(limit.name)
        goal = f"{'>=' if limit.least else '<='} {limit.goal:g}"
        if value is None:
            found.append((limit.what, goal, "no figure", "not measured"))
            continue
        met = value >= limit.goal if limit.least else value <= limit.goal
        found.append((limit.what, goal, f"{value:.2f}", "met" if met else "NOT MET"))
    return found
