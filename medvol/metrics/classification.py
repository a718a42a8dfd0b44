# SPDX-License-Identifier: Apache-2.0
"""How good probabilities of a finding are: ranking, calibration, and figures at a threshold.

Truth is 0 or 1 for each slice or image. A figure that has no meaning is NaN: an AUC without
positives or without negatives, a sensitivity without positives, a specificity without negatives.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Numbers = npt.NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE_PERCENT = 95.0
BINS = 10


class Interval(NamedTuple):
    """A figure, and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """Cases of like probability: how many, their mean probability, the share that is positive."""

    cases: int
    probability: float
    positive_share: float


def roc_auc(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a positive ranks above a negative; ties count half.

    Args:
        probability: (N,) or any score that grows with it.
        truth: (N,) 0 or 1.

    Raises:
        ValueError: different lengths, or a truth that is neither 0 nor 1.

    Example:
        >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        0.75
    """
    scores, positive = _pair(probability, truth)
    return float(_auc(scores, positive, np.ones((1, len(scores))))[0])


def auc_interval(
    probability: npt.ArrayLike,
    truth: npt.ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """AUC with its bootstrap interval, drawn within each class of each group.

    So each resample has the positives and negatives of each volume in their numbers. Slices of one
    volume are alike: the interval says how sure the figure is for these volumes, not for others.

    Args:
        probability: (N,).
        truth: (N,) 0 or 1.
        groups: (N,) volume of each slice; None takes all as one.
        resamples: how many, 1 or more.
        seed: the same seed, the same interval.

    Example:
        >>> auc_interval([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
        Interval(value=1.0, low=1.0, high=1.0)
    """
    scores, positive = _pair(probability, truth)
    value = roc_auc(scores, positive)
    if np.isnan(value):
        return Interval(value, np.nan, np.nan)
    random = np.random.default_rng(seed)
    strata = np.unique(
        np.asarray(
            [f"{g}/{t}" for g, t in zip(groups or [""] * len(scores), positive, strict=True)]
        ),
        return_inverse=True,
    )[1]
    weights = np.zeros((resamples, len(scores)))
    for stratum in range(strata.max() + 1):
        inside = np.flatnonzero(strata == stratum)
        share = np.full(len(inside), 1 / len(inside))
        weights[:, inside] = random.multinomial(len(inside), share, resamples)
    tail = (100 - CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(_auc(scores, positive, weights), [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def sensitivity_specificity(
    probability: npt.ArrayLike, truth: npt.ArrayLike, threshold: float
) -> tuple[float, float]:
    """Share of the positives at or above the threshold, and of the negatives below it.

    Example:
        >>> sensitivity_specificity([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1], 0.5)
        (1.0, 0.5)
    """
    scores, positive = _pair(probability, truth)
    passing = scores >= threshold
    return _mean(passing[positive]), _mean(~passing[~positive])


def reliability(probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = BINS) -> list[Bin]:
    """Mean probability and share of positives in bins of equal width; empty bins are left out.

    Example:
        >>> reliability([0.1, 0.15, 0.9, 1.0], [0, 1, 1, 1], bins=2)
        [Bin(cases=2, probability=0.125, positive_share=0.5), Bin(cases=2, probability=0.95, \
positive_share=1.0)]
    """
    scores, positive = _pair(probability, truth)
    index = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        Bin(int((index == i).sum()), float(scores[index == i].mean()), _mean(positive[index == i]))
        for i in range(bins)
        if (index == i).any()
    ]


def expected_calibration_error(
    probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = BINS
) -> float:
    """Mean distance between probability and share of positives over bins, weighted by cases.

    Naeini et al. 2015, for the probability of the positive class.

    Example:
        >>> expected_calibration_error([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 0], bins=2)
        0.25
    """
    found = reliability(probability, truth, bins=bins)
    cases = sum(row.cases for row in found)
    gaps = [row.cases * abs(row.probability - row.positive_share) for row in found]
    return float(sum(gaps) / cases) if cases else float("nan")


def fit_platt(scores: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[float, float]:
    """Slope and offset that make `slope * score + offset` the likeliest log odds of the truth.

    Platt scaling (Platt, "Probabilistic outputs for support vector machines", 1999): the ranking
    stays where the slope is above 0. Each truth is moved from 0 and 1 by one case in so many, as
    there, so that separated classes have an answer. Fit it on cases that the network has not seen.

    Args:
        scores: (N,) of any unit, higher for the positive class.
        truth: (N,) 0 or 1.

    Returns:
        slope and offset.

    Raises:
        ValueError: as in `roc_auc`, or only one class is there.

    Example:
        >>> slope, offset = fit_platt([0.0] * 3 + [2.0] * 3, [0, 0, 1, 0, 1, 1])
        >>> round(slope, 3), round(offset, 3)
        (0.405, -0.405)
    """
    given, positive = _pair(scores, truth)
    count = int(positive.sum())
    if count in (0, len(positive)):
        raise ValueError("the truth has one class only; give positives and negatives")
    aim = np.where(positive, (count + 1) / (count + 2), 1 / (len(positive) - count + 2))

    def loss(line: Numbers) -> float:
        odds = line[0] * given + line[1]
        return float((np.logaddexp(0, odds) - aim * odds).mean())

    found = minimize(loss, np.array([1.0, 0.0]), method="BFGS")
    return float(found.x[0]), float(found.x[1])


def _pair(probability: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Numbers, npt.NDArray[Any]]:
    scores, true = np.asarray(probability, np.float64), np.asarray(truth)
    if scores.shape != true.shape or scores.ndim != 1:
        raise ValueError(f"{scores.shape} probabilities and {true.shape} truths; give (N,) of both")
    if not np.isin(true, (0, 1)).all():
        raise ValueError("the truth holds other values than 0 and 1; give 1 for a finding")
    return scores, true.astype(bool)


def _auc(scores: Numbers, positive: npt.NDArray[np.bool_], weights: Numbers) -> Numbers:
    """AUC for each row of weights (R, N), how often each case counts."""
    _, level = np.unique(scores, return_inverse=True)
    levels = int(level.max(initial=-1)) + 1
    order = np.zeros((len(scores), levels))
    order[np.arange(len(scores)), level] = 1
    up, down = (weights * positive) @ order, (weights * ~positive) @ order
    below = np.cumsum(down, axis=1) - down / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((up * below).sum(1) / (up.sum(1) * down.sum(1)))


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
