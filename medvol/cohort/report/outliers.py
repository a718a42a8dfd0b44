# SPDX-License-Identifier: Apache-2.0
"""Cases whose figures lie far from those of the others: by a robust z-score, whose rule is said."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .figures import PROBABILITY, main_figures
from .gather import Gathered, Result

Values = npt.NDArray[np.float64]
FARTHEST = 3.5  # of Iglewicz and Hoaglin
LEAST = 10  # cases; of fewer nobody can say what is usual
SPREAD, MEAN_SPREAD = 1.482602, 1.253314  # times these, deviations are as a standard deviation
MOST_ZEROS = 0.1  # of the values; else 0 means that nothing was found, which is no small amount
RULE = (
    f"An outlier lies more than {FARTHEST:g} robust standard deviations from the median of its "
    f"group, or of all cases where its group has fewer than {LEAST} (modified z-score, Iglewicz "
    "and Hoaglin 1993). Volumes, lengths and counts are compared as log(1 + x), probabilities as "
    f"they are. Where more than {100 * MOST_ZEROS:.0f} % of the values are 0, these are left out. "
    "Of each case the figure that lies farthest out is named."
)


class Outlier(NamedTuple):
    """A case that lies far from the others.

    Args:
        figure: name of the one that lies farthest out.
        value, median: of the case and of those that it is compared with, in the figure's unit.
        z: how far out, in robust standard deviations; below 0 where the value is low.
    """

    figure: str
    value: float
    median: float
    z: float


def outliers(gathered: Gathered) -> dict[str, Outlier]:
    """The outliers of a cohort by the keys of their units, the farthest first.

    Args:
        gathered: with answers.
    """
    found: dict[str, Outlier] = {}
    for bundle, spec in gathered.specs.items():
        results = gathered.of(bundle)
        for name in main_figures(spec):
            for key, outlier in _of_figure(name, results):
                if key not in found or abs(outlier.z) > abs(found[key].z):
                    found[key] = outlier
    return dict(sorted(found.items(), key=lambda pair: (-abs(pair[1].z), pair[0])))


def modified_z(values: Values) -> Values:
    """How far each value lies from the median, in robust standard deviations.

    Where more than half of the values are the same, the mean of the absolute deviations takes the
    place of their median.

    Args:
        values: (n,) at least one, in any unit.

    Returns:
        (n,) of any sign; all 0 where all values are the same.

    Example:
        >>> modified_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
        [-1.35, -0.67, 0.0, 0.67, 65.43]
        >>> modified_z(np.array([5.0, 5.0, 5.0])).tolist()
        [0.0, 0.0, 0.0]
    """
    away = values - np.median(values)
    unit = SPREAD * float(np.median(abs(away))) or MEAN_SPREAD * float(abs(away).mean())
    return away / unit if unit else np.zeros_like(away)


def _of_figure(name: str, results: Sequence[Result]) -> Iterator[tuple[str, Outlier]]:
    """The outliers among the values of a figure, with the keys of their units."""
    known = {x.unit.key: value for x in results if (value := _number(x.values, name)) is not None}
    if sum(value == 0 for value in known.values()) > MOST_ZEROS * len(known):
        known = {key: value for key, value in known.items() if value}
    groups = defaultdict[str, list[str]](list)
    for result in results:
        if result.unit.key in known:
            groups[result.unit.group].append(result.unit.key)
    for keys in groups.values():
        beside = keys if len(keys) >= LEAST else list(known)
        if len(beside) < LEAST:
            continue
        values = np.array([known[key] for key in beside])
        scores = modified_z(values if PROBABILITY in name else np.log1p(values)).tolist()
        median = float(np.median(values))
        for key, z in zip(beside, scores, strict=True):
            if abs(z) > FARTHEST and (beside is keys or key in keys):
                yield key, Outlier(name, known[key], median, z)


def _number(values: Mapping[str, object], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, float | int) else None
