# SPDX-License-Identifier: Apache-2.0
"""How well scores rank positives above negatives: ROC, precision and recall, at every threshold.

Weights (R, N) say how often each case counts in each of R figures: 0 or 1 where patients are left
out in turn, more where they are drawn with repeats. All are computed at once: scikit-learn's
functions, called for each, would take minutes. Cases with equal scores pass a threshold together. A
figure that has no meaning is NaN: an AUC without positives or without negatives, a sensitivity
without positives.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..intervals import Numbers, defined, middle, ratio

USUAL = tuple(step / 10 for step in range(1, 10))  # thresholds of the table
GRID = np.linspace(0.0, 1.0, 101)  # of the horizontal axis, where bands are given
TOLERANCE = 1e-9  # two shares that are equal but for rounding; far below 1 over any number of cases


class Curve(NamedTuple):
    """Points of a curve from the highest threshold to the lowest.

    Args:
        x, y: (points,) false positive rate and sensitivity, or recall and precision.
        threshold: (points,) scores at or above it pass; the first point of ROC has infinity.
    """

    x: Numbers
    y: Numbers
    threshold: Numbers


class Band(NamedTuple):
    """Ends of the middle 95 % of a curve's height over resamples, at each place of `GRID`."""

    x: Numbers
    low: Numbers
    high: Numbers


class ThresholdRow(NamedTuple):
    """Images at or above a threshold count as positive.

    Args:
        threshold: of the probability.
        found, missed: positives at or above it, and below it.
        false: negatives at or above it.
        passed: negatives below it.
    """

    threshold: float
    found: int
    missed: int
    false: int
    passed: int

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are found, 0 to 1; NaN without positives."""
        return float(ratio(self.found, self.found + self.missed))

    @property
    def specificity(self) -> float:
        """Share of the negatives that pass, 0 to 1; NaN without negatives."""
        return float(ratio(self.passed, self.passed + self.false))

    @property
    def precision(self) -> float:
        """Share of what is taken for positive that is; NaN where nothing is taken."""
        return float(ratio(self.found, self.found + self.false))

    @property
    def negative_precision(self) -> float:
        """Share of what is taken for negative that is, 0 to 1; NaN where nothing is."""
        return float(ratio(self.passed, self.passed + self.missed))

    def record(self) -> dict[str, float | int | None]:
        """Counts and rates by name, None for a rate that is not defined."""
        rates = ("sensitivity", "specificity", "precision", "negative_precision")
        return defined(self._asdict() | {name: getattr(self, name) for name in rates})


class _Passing(NamedTuple):
    """Positives and negatives at or above each threshold, (R, thresholds), highest first."""

    positive: Numbers
    negative: Numbers
    threshold: Numbers


def roc_curve(score: npt.ArrayLike, truth: npt.ArrayLike) -> Curve:
    """Sensitivity over the share of negatives that pass, for every threshold.

    Args:
        score: (N,) probability or any score.
        truth: (N,) 0 or 1.

    Returns:
        From (0, 0) to (1, 1); NaN where there are no negatives (x) or no positives (y).

    Example:
        >>> curve = roc_curve([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1])
        >>> curve.x.tolist(), curve.y.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    passing = _passing(score, truth)
    x, y = _roc(passing)
    return Curve(x[0], y[0], np.concatenate([[np.inf], passing.threshold]))


def precision_recall_curve(score: npt.ArrayLike, truth: npt.ArrayLike) -> Curve:
    """Precision over recall, for every threshold; recall is NaN without positives.

    Args:
        score: (N,) probability or any score.
        truth: (N,) 0 or 1.

    Example:
        >>> curve = precision_recall_curve([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1])
        >>> curve.x.tolist(), curve.y.round(2).tolist()
        ([0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 0.67, 0.5])
    """
    passing = _passing(score, truth)
    recall, precision = _recall_precision(passing)
    return Curve(recall[0], precision[0], passing.threshold)


def roc_auc(score: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a positive ranks above a negative; ties count half.

    Args:
        score: (N,) probability or any score that grows with it.
        truth: (N,) 0 or 1.

    Returns:
        0 to 1; NaN without positives or without negatives.

    Raises:
        ValueError: different lengths, or a truth that is neither 0 nor 1.

    Example:
        >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        0.75
    """
    scores, positive = checked_pair(score, truth)
    if not len(scores):
        return float("nan")
    return float(weighted_auc(scores, positive, np.ones((1, len(scores))))[0])


def weighted_auc(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Numbers:
    """Area under the ROC curve of each row of weights, (R,); NaN where it has one class only.

    Args:
        score: (N,) probability or any score.
        truth: (N,) 0 or 1.
        weights: (R, N) how often each case counts.

    Example:
        >>> weights = np.array([[1, 1, 1, 1], [1, 0, 1, 1]])
        >>> weighted_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], weights)
        array([0.75, 1.  ])
    """
    x, y = _roc(_passing(score, truth, weights))
    return np.asarray((np.diff(x) * (y[:, 1:] + y[:, :-1])).sum(1) / 2)


def weighted_average_precision(
    score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]
) -> Numbers:
    """Precision, in the mean over the steps of recall, of each row of weights, (R,).

    The sum of (recall - recall before) * precision, without interpolation, which would be too
    optimistic (Davis and Goadrich 2006). NaN without positives.

    Args:
        score, truth, weights: (N,), (N,) and (R, N), as for `weighted_auc`.

    Example:
        >>> weighted_average_precision([0.2, 0.6, 0.9], [1, 0, 1], np.ones((1, 3))).round(3)
        array([0.833])
    """
    recall, precision = _recall_precision(_passing(score, truth, weights))
    steps = np.diff(recall, axis=1, prepend=0.0)
    return np.asarray((steps * np.where(steps > 0, precision, 0.0)).sum(1) + 0 * recall[:, -1])


def roc_band(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Band:
    """Middle 95 % of the highest sensitivity that each false positive rate allows.

    Args:
        score, truth, weights: (N,), (N,) and (R, N), as for `weighted_auc`.
    """
    x, y = _roc(_passing(score, truth, weights))
    known = np.isfinite(x[:, -1]) & np.isfinite(y[:, -1])
    rows = []
    for across, height in zip(x[known], y[known], strict=True):
        rows.append(height[np.searchsorted(across, GRID + TOLERANCE, side="right") - 1])
    return _band(rows)


def precision_band(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Band:
    """Middle 95 % of precision at the highest threshold that reaches each recall.

    Args:
        score, truth, weights: (N,), (N,) and (R, N), as for `weighted_auc`.
    """
    recall, precision = _recall_precision(_passing(score, truth, weights))
    known = np.isfinite(recall[:, -1])
    rows = []
    for across, height in zip(recall[known], precision[known], strict=True):
        rows.append(height[np.searchsorted(across, np.maximum(GRID - TOLERANCE, TOLERANCE))])
    return _band(rows)


def threshold_rows(
    probability: npt.ArrayLike, truth: npt.ArrayLike, thresholds: Sequence[float] = USUAL
) -> list[ThresholdRow]:
    """What each threshold does, in the order given.

    Args:
        probability: (N,) of the finding.
        truth: (N,) 0 or 1.
        thresholds: of the probability, 0 to 1.

    Example:
        >>> threshold_rows([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1], [0.5])
        [ThresholdRow(threshold=0.5, found=2, missed=0, false=1, passed=1)]
    """
    scores, positive = checked_pair(probability, truth)
    rows = []
    for threshold in thresholds:
        passing = scores >= threshold
        found, false = int((passing & positive).sum()), int((passing & ~positive).sum())
        missed, passed = int(positive.sum()) - found, int((~positive).sum()) - false
        rows.append(ThresholdRow(float(threshold), found, missed, false, passed))
    return rows


def best_threshold(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The threshold whose sensitivity and specificity add up to most (Youden 1950).

    It lies halfway between the lowest probability that passes and the next one below, so that it
    does not hang on one image. Choose it on images of which no figure is given.

    Args:
        probability: (N,) of the finding.
        truth: (N,) 0 or 1.

    Returns:
        0 to 1, of equal ones the highest; NaN where there is one class only.

    Example:
        >>> round(best_threshold([0.1, 0.3, 0.5, 0.9], [0, 0, 1, 1]), 3)
        0.4
    """
    curve = roc_curve(probability, truth)
    gain = np.round(curve.y - curve.x, 9)  # 1 - 1/3 is 2/3 but for rounding
    if not np.isfinite(gain[-1]):
        return float("nan")
    at = int(np.argmax(gain[1:])) + 1  # no image passes at the first point
    below = curve.threshold[at + 1] if at + 1 < len(gain) else 0.0
    return float((curve.threshold[at] + below) / 2)


def checked_pair(
    score: npt.ArrayLike, truth: npt.ArrayLike
) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Scores (N,) and whether each is of a positive (N,), found to belong together.

    Args:
        score: (N,) any numbers.
        truth: (N,) 0 or 1.

    Raises:
        ValueError: different lengths, or a truth that is neither 0 nor 1.
    """
    scores, true = np.asarray(score, np.float64), np.asarray(truth)
    if scores.shape != true.shape or scores.ndim != 1:
        raise ValueError(f"{scores.shape} scores and {true.shape} truths; give (N,) of both")
    if not np.isin(true, (0, 1)).all():
        raise ValueError("the truth holds other values than 0 and 1; give 1 for a positive")
    return scores, true.astype(bool)


def _band(rows: list[Numbers]) -> Band:
    if not rows:
        nothing = np.full_like(GRID, np.nan)
        return Band(GRID, nothing, nothing)
    return Band(GRID, *middle(np.stack(rows)))


def _passing(
    score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any] | None = None
) -> _Passing:
    scores, positive = checked_pair(score, truth)
    if not len(scores):
        raise ValueError("there are no scores; give one or more")
    counts = np.ones((1, len(scores))) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores
    sorted_counts, passing = counts[:, order], positive[order]
    return _Passing(
        np.cumsum(sorted_counts * passing, axis=1)[:, ends],
        np.cumsum(sorted_counts * ~passing, axis=1)[:, ends],
        scores[order][ends],
    )


def _roc(passing: _Passing) -> tuple[Numbers, Numbers]:
    """Negatives and positives that pass as shares, with the point where none does in front."""
    x, y = (
        ratio(np.pad(part, ((0, 0), (1, 0))), part[:, -1:])
        for part in (passing.negative, passing.positive)
    )
    return x, y


def _recall_precision(passing: _Passing) -> tuple[Numbers, Numbers]:
    recall = ratio(passing.positive, passing.positive[:, -1:])
    return recall, ratio(passing.positive, passing.positive + passing.negative)
