# SPDX-License-Identifier: Apache-2.0
"""How sure a figure over cases is: intervals by drawing patients again and again.

The percentile bootstrap (Efron and Tibshirani 1993, chapter 13). Patients are drawn, not cases:
two scans of one person are alike, and drawn one by one they would make the interval too narrow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
CONFIDENCE_PERCENT = 95.0
SEED = 0

Draws = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure over cases.

    Args:
        value: in the unit of the figure; NaN where no case gives one.
        low, high: ends of the interval, in the same unit; NaN where it is of fewer than two
            patients.
        cases: how many the figure is of.
    """

    value: float
    low: float
    high: float
    cases: int

    def interval(self, text: Callable[[float], str]) -> str:
        """The interval in words; empty where there is none.

        Args:
            text: how a number is written.

        Example:
            >>> Estimate(0.84, 0.8, 0.9, 12).interval("{:.2f}".format)
            '0.80 to 0.90'
        """
        if np.isnan(self.value) or np.isnan(self.low):
            return ""
        return f"{text(self.low)} to {text(self.high)}"

    def words(self, text: Callable[[float], str]) -> str:
        """The figure with its interval behind it, such as "0.84 (0.80 to 0.90)".

        Args:
            text: how a number is written.
        """
        interval = self.interval(text)
        return text(self.value) + (f" ({interval})" if interval else "")

    def record(self) -> dict[str, float | int | None]:
        """By name, None for what is not defined, as JSON knows no NaN.

        Example:
            >>> Estimate(0.5, float("nan"), float("nan"), 1).record()
            {'value': 0.5, 'low': None, 'high': None, 'cases': 1}
        """
        return defined(self._asdict())


def ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Any:
    """Numbers divided by others, of any shapes that go together; NaN where the others are 0.

    Example:
        >>> ratio([1, 0], [4, 0]).tolist(), float(ratio(1, 2))
        ([0.25, nan], 0.5)
    """
    whole = np.asarray(below, np.float64)
    return np.asarray(above, np.float64) / np.where(whole == 0, np.nan, whole)


def mean_defined(figures: npt.ArrayLike, *, axis: int) -> Any:
    """Mean along an axis of what is not NaN; NaN where nothing is left.

    Args:
        figures: of any shape, such as (classes, R) of each resample.
        axis: that is left out of the result.

    Example:
        >>> mean_defined([[0.5, np.nan], [1.0, np.nan]], axis=0).tolist()
        [0.75, nan]
    """
    known = np.isfinite(figures)
    return ratio(np.where(known, figures, 0.0).sum(axis), known.sum(axis))


def defined(figures: Mapping[str, float]) -> dict[str, float | int | None]:
    """Figures by name, with None for NaN."""
    return {name: None if np.isnan(number) else number for name, number in figures.items()}


def draw_patients(
    patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Draws:
    """How often each case is taken in each resample: as many patients as there are, with repeats.

    Args:
        patients: (cases,) names; cases of one patient are drawn together.
        resamples: how many, 1 or more.
        seed: the same seed, the same draws.

    Returns:
        (resamples, cases) whole numbers.

    Raises:
        ValueError: fewer than one resample.

    Example:
        >>> draws = draw_patients(["a", "b", "b"], resamples=4)
        >>> bool((draws[:, 1] == draws[:, 2]).all())
        True
        >>> (draws[:, 0] + draws[:, 1]).tolist()
        [2, 2, 2, 2]
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; give 1 or more")
    names, patient_of = np.unique(np.asarray(patients, dtype=object), return_inverse=True)
    number = len(names)
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    return drawn[:, patient_of]


def draw_within(groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED) -> Draws:
    """How often each case is taken in each resample, with as many of each group as there are.

    Args:
        groups: (cases,) such as the volume and the class of a slice.
        resamples: how many, 1 or more.
        seed: the same seed, the same draws.

    Returns:
        (resamples, cases) whole numbers.

    Example:
        >>> draw_within(["a", "b", "b"], resamples=2)[:, 0].tolist()
        [1, 1]
    """
    random = np.random.default_rng(seed)
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    draws = np.zeros((resamples, len(group_of)), np.int64)
    for group in range(len(names)):
        inside = np.flatnonzero(group_of == group)
        share = np.full(len(inside), 1 / len(inside))
        draws[:, inside] = random.multinomial(len(inside), share, resamples)
    return draws


def middle(resampled: Numbers) -> Numbers:
    """Ends of the middle `CONFIDENCE_PERCENT` of figures, along the first axis; NaN is left out.

    Args:
        resampled: (resamples, ...).

    Returns:
        (2, ...) low and high.

    Example:
        >>> middle(np.array([0.0, 1.0, np.nan])).tolist()
        [0.025, 0.975]
    """
    tail = (100.0 - CONFIDENCE_PERCENT) / 2
    return np.asarray(np.nanpercentile(resampled, [tail, 100.0 - tail], axis=0))


def ratio_estimate(numerators: Numbers, denominators: Numbers, draws: Draws) -> Estimate:
    """A figure that is a sum over cases divided by another, with its interval.

    Means are such figures, with 1 for each case below the line; so are pooled Dice (twice the
    common voxels, over all voxels of both) and sensitivity (found lesions, over all).

    Args:
        numerators: (cases,); NaN leaves the case out.
        denominators: (cases,), 0 or more.
        draws: of `draw_patients` for the same cases.

    Example:
        >>> three = np.array([0.25, 0.75, np.nan])
        >>> ratio_estimate(three, np.ones(3), draw_patients(["a", "b", "c"]))
        Estimate(value=0.5, low=0.25, high=0.75, cases=2)
    """
    known = np.isfinite(numerators)
    above = np.where(known, numerators, 0.0)
    below = np.where(known, denominators, 0.0)
    low, high = _interval(ratio(draws @ above, draws @ below), draws[:, below > 0])
    return Estimate(float(ratio(above.sum(), below.sum())), low, high, int(known.sum()))


def median_estimate(values: Numbers, draws: Draws) -> Estimate:
    """The median over cases, with its interval.

    Args:
        values: (cases,); NaN leaves the case out.
        draws: of `draw_patients` for the same cases.

    Example:
        >>> median_estimate(np.array([0.25, 0.5, 0.75]), draw_patients(["a", "b", "c"]))
        Estimate(value=0.5, low=0.25, high=0.75, cases=3)
    """
    known = np.isfinite(values)
    drawn = draws[:, known]
    if not known.any():
        return Estimate(np.nan, np.nan, np.nan, 0)
    resampled = [np.median(np.repeat(values[known], often)) for often in drawn if often.any()]
    low, high = _interval(np.array(resampled), drawn)
    return Estimate(float(np.median(values[known])), low, high, int(known.sum()))


def resampled_estimate(value: float, resampled: Numbers, draws: Draws) -> Estimate:
    """Any figure, with its interval from the same figure of each resample.

    Args:
        value: of all cases as they are, in any unit; NaN where it is not defined.
        resampled: (resamples,), of the cases as often as they were drawn.
        draws: (resamples, cases that the figure is of), see `draw_patients`.

    Example:
        >>> draws = draw_patients(["a", "b"], resamples=8)
        >>> resampled_estimate(1.0, draws[:, 0] / 2, draws)
        Estimate(value=1.0, low=0.0, high=1.0, cases=2)
    """
    known = np.isfinite(value) and np.isfinite(resampled).any()
    low, high = _interval(resampled, draws) if known else (np.nan, np.nan)
    return Estimate(value, low, high, draws.shape[1])


def _interval(resampled: Numbers, drawn: Draws) -> tuple[float, float]:
    """The middle `CONFIDENCE_PERCENT` of the figures; NaN when the cases are of one patient.

    Args:
        resampled: a figure of each resample; what is not finite is left out.
        drawn: (resamples, cases that the figure is of).
    """
    if (drawn == drawn[:, :1]).all():  # cases of one patient are always drawn alike
        return np.nan, np.nan
    low, high = middle(resampled[np.isfinite(resampled)])
    return float(low), float(high)
