# SPDX-License-Identifier: Apache-2.0
"""How sure a figure over cases is: 95 % intervals for other patients of the same kind.

Each interval is made here, of how the figure changes when one patient is left out (the jackknife,
Efron and Tibshirani 1993, chapter 11). Patients are left out, not cases: two scans of one person
are alike. A figure from 0 to 1 has Wilson's score interval of as many cases as would vary so much
(Korn and Graubard 1998), so that it holds no impossible value and has a width even where all is
right; a share of patients has the exact interval (Clopper and Pearson 1934). A median has the
sorted values that the score interval of one half points to.
`scripts/check_intervals.py` counts how often they cover the truth; the constants are from there.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtrit

CONFIDENCE_PERCENT = 95.0
LEAST_PATIENTS = 5  # an interval of fewer holds nearly all that is possible
MOST_ROWS = 500  # of more patients several are left out together
RANKED = 1.5  # a mean over classes counts as of at most so many times the cases that it rests on
EQUAL = 1e-12  # figures that differ by less are the same but for rounding
RESAMPLES = 2000
SEED = 0

METHOD = (
    "by leaving out one patient after another (jackknife): the exact interval for shares of "
    "patients, Wilson's for other figures from 0 to 1, order statistics for medians, Student's t "
    "for the rest"
)

LeftOut = npt.NDArray[np.float64]  # (R, cases) 0 for the cases that are left out in turn, else 1
Draws = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Scale(Enum):
    """What values a figure may have."""

    SHARE = "0 to 1"
    AMOUNT = "0 or more"
    DIFFERENCE = "any"


# Degrees of freedom are those of normal figures over this: patients' have longer tails, so that
# their spread is known less well.
TAILS = {Scale.SHARE: 2, Scale.AMOUNT: 3, Scale.DIFFERENCE: 2}


class Estimate(NamedTuple):
    """A figure over cases.

    Args:
        value: in the unit of the figure; NaN where no case gives one.
        low, high: ends of the interval, in the same unit; NaN where there is none.
        cases: how many the figure is of.
        withheld: why there is no interval; empty where there is one.
    """

    value: float
    low: float
    high: float
    cases: int
    withheld: str = ""

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

    def record(self) -> dict[str, float | int | str | None]:
        """By name, None for what is not defined, as JSON knows no NaN.

        Example:
            >>> Estimate(0.5, float("nan"), float("nan"), 1, "of one patient").record()
            {'value': 0.5, 'low': None, 'high': None, 'cases': 1, 'withheld': 'of one patient'}
        """
        figures = defined({"value": self.value, "low": self.low, "high": self.high})
        return {**figures, "cases": self.cases, "withheld": self.withheld or None}


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
        figures: of any shape, such as (classes, R), R times with a patient left out.
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


def leave_out(patients: Sequence[str]) -> LeftOut:
    """Which cases stay when one patient after another is left out.

    Args:
        patients: (cases,) names; cases of one patient are left out together.

    Returns:
        (patients, cases) 0 for the cases of this patient, else 1; of more than `MOST_ROWS`
        patients so many rows, with about as many patients each.

    Example:
        >>> leave_out(["a", "b", "b"]).tolist()
        [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    names, patient_of = np.unique(np.asarray([*patients]), return_inverse=True)
    rows = np.arange(min(MOST_ROWS, len(names)))
    return np.asarray(patient_of % MOST_ROWS != rows[:, None], np.float64)


def ratio_estimate(
    numerators: Numbers, denominators: Numbers, left_out: LeftOut, *, scale: Scale = Scale.SHARE
) -> Estimate:
    """A figure that is a sum over cases divided by another, with its interval.

    Means are such figures, with 1 for each case below the line; so are pooled Dice (twice the
    common voxels, over all voxels of both) and sensitivity (found lesions, over all).

    Args:
        numerators: (cases,); NaN leaves the case out.
        denominators: (cases,), 0 or more.
        left_out: of `leave_out` for the same cases.
        scale: what values the figure may have.

    Example:
        >>> found = ratio_estimate(np.arange(10.0) > 0, np.ones(10), leave_out("abcdefghij"))
        >>> found.words("{:.3f}".format)  # the exact interval of 9 in 10
        '0.900 (0.555 to 0.997)'
    """
    known = np.isfinite(numerators)
    above, below = np.where(known, numerators, 0.0), np.where(known, denominators, 0.0)
    value, cases = float(ratio(above.sum(), below.sum())), int(known.sum())
    own, weights = (x.sum() - left_out @ x for x in (above, below))  # of each patient
    own, weights = own[weights > 0], weights[weights > 0]
    if reason := _too_few(len(weights)):
        return Estimate(value, np.nan, np.nan, cases, reason)
    alike = np.allclose(weights, weights[0]) and np.isin(own, (0, weights[0])).all()
    if scale is Scale.SHARE and alike:  # each patient is all right or all wrong
        return Estimate(value, *_exact(round(value * len(weights)), len(weights)), cases)
    spread = _spread((above.sum() - own) / (below.sum() - weights))
    squares = weights**2
    # few patients with most of the weight: few degrees of freedom (Satterthwaite 1946)
    degrees = min(_degrees(len(weights), scale), squares.sum() ** 2 / (squares**2).sum())
    number = weights.sum() ** 2 / squares.sum()
    return Estimate(value, *_ends(value, spread, number, np.inf, degrees, scale), cases)


def median_estimate(values: Numbers, left_out: LeftOut) -> Estimate:
    """The median over cases, with its interval.

    Args:
        values: (cases,); NaN leaves the case out.
        left_out: of `leave_out` for the same cases.

    Example:
        >>> median_estimate(np.arange(11.0), leave_out("abcdefghijk")).words("{:.2f}".format)
        '5.00 (1.95 to 8.05)'
    """
    known = np.isfinite(values)
    given, rows = values[known], _leaving(left_out[:, known])
    value = float(np.median(given)) if len(given) else np.nan
    if reason := _too_few(len(rows)):
        return Estimate(value, np.nan, np.nan, len(given), reason)
    number, quantile = float(len(given)), _normal()
    if len(rows) < len(given):  # as many cases as would vary so much were each its own patient
        below = (given < value) + (given == value) / 2
        spread = _spread(rows @ below / rows.sum(1))
        number = min(number, 0.25 / spread**2) if spread else float(len(rows))
        quantile = _student(_degrees(len(rows), Scale.SHARE))
    low, high = np.quantile(given, _score(0.5, number, quantile), method="weibull")
    return Estimate(value, float(low), float(high), len(given))


def figure_estimate(
    value: float,
    without: Numbers,
    left_out: LeftOut,
    *,
    scale: Scale = Scale.SHARE,
    classes: npt.NDArray[Any] | None = None,
) -> Estimate:
    """Any smooth figure, with its interval from the same figure without each patient.

    Args:
        value: of all cases, in any unit; NaN where it is not defined.
        without: (R,) the figure of the cases that stay in each row of `left_out`.
        left_out: (R, cases that the figure is of), see `leave_out`.
        scale: what values the figure may have.
        classes: (cases,) of a figure that counts cases right or wrong, compares classes, or is a
            mean over them: the class of each, since the rarest one says how sure the figure is.

    Example:
        >>> left = leave_out("abcdefgh")
        >>> figure_estimate(0.5, np.array([0.4, 0.6] * 4), left).words("{:.2f}".format)
        '0.50 (0.08 to 0.92)'
    """
    leaving = (left_out == 0).any(1)
    rows, cases = left_out[leaving], left_out.shape[1]
    number, most = float(len(rows)), np.inf
    reason = _too_few(len(rows))
    if classes is not None and not reason:
        each = [classes == name for name in np.unique(classes)]
        patients = np.array([(rows[:, own] == 0).any(1).sum() for own in each])
        if patients.min() < 2:
            reason = "a class has cases of one patient only"
        number = min(number, len(each) ** 2 / (1 / patients).sum())
        most = RANKED * len(each) ** 2 / sum(1 / own.sum() for own in each)
    if reason or not np.isfinite([value, *without[leaving]]).all():
        return Estimate(value, np.nan, np.nan, cases, reason or "not defined without a patient")
    spread = _spread(without[leaving])
    if scale is Scale.DIFFERENCE and classes is not None:
        spread = np.hypot(spread, 1 / number)  # as if one more patient were right once only
    ends = _ends(value, spread, number, most, _degrees(number, scale), scale)
    return Estimate(value, *ends, cases)


def _too_few(patients: int) -> str:
    if patients >= LEAST_PATIENTS:
        return ""
    return f"of fewer than {LEAST_PATIENTS} patients"


def _leaving(left_out: LeftOut) -> LeftOut:
    """The rows that leave something out."""
    return left_out[(left_out == 0).any(1)]


def _spread(without: Numbers) -> float:
    """Standard error of a figure, from those without each patient."""
    if np.allclose(without, without[0], rtol=0, atol=EQUAL):
        return 0.0
    return float(np.sqrt((len(without) - 1) * without.var()))


def _degrees(patients: float, scale: Scale) -> float:
    return (patients - 1) / TAILS[scale]


def _student(degrees: float) -> float:
    return float(stdtrit(degrees, 0.5 + CONFIDENCE_PERCENT / 200))


def _normal() -> float:
    return float(ndtri(0.5 + CONFIDENCE_PERCENT / 200))


def _ends(
    value: float, spread: float, number: float, most: float, degrees: float, scale: Scale
) -> tuple[float, float]:
    """Ends of the interval of a figure.

    Args:
        value: the figure.
        spread: its standard error.
        number: of patients that it rests on, which counts where they do not differ.
        most: cases that a share counts as at most.
        degrees: of freedom of its standard error.
        scale: what values it may have.
    """
    quantile = _student(degrees)
    if scale is Scale.DIFFERENCE:
        return value - quantile * spread, value + quantile * spread
    if scale is Scale.SHARE:
        one = value * (1 - value)  # variance of a single case that is right or wrong
        return _score(value, min(one / spread**2, most) if spread and one > 0 else number, quantile)
    # as of a count whose variance grows with its mean: (value - truth)^2 = 2 * half * truth
    half = quantile**2 * (spread**2 / value if value else 1 / number) / 2
    reach = np.sqrt(half * (2 * value + half))
    return float(value + half - reach), float(value + half + reach)


def _exact(right: int, number: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share of patients: covers no less than it says."""
    tail = (100 - CONFIDENCE_PERCENT) / 200
    low = betaincinv(right, number - right + 1, tail) if right else 0.0
    high = betaincinv(right + 1, number - right, 1 - tail) if right < number else 1.0
    return float(low), float(high)


def _score(share: float, number: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a share of so many cases."""
    weight = quantile**2 / number
    middle = (share + weight / 2) / (1 + weight)
    reach = np.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return float(max(0.0, middle - reach)), float(min(1.0, middle + reach))


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
