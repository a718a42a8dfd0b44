# SPDX-License-Identifier: Apache-2.0
"""How well scores rank positives above negatives: ROC, precision and recall, at every threshold.

Every function takes weights (R, N), how often each case counts in each resample; one row of ones is
the plain figure. Cases with equal scores pass a threshold together.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .bootstrap import CONFIDENCE_PERCENT

Numbers = npt.NDArray[np.float64]
GRID = np.linspace(0.0, 1.0, 101)  # of the horizontal axis, where bands are given
TOLERANCE = 1e-9  # two shares that are equal but for rounding; far below 1 over any number of cases


class Curve(NamedTuple):
    """Points of a curve from the highest threshold to the lowest, each (points,).

    Args:
        x, y: false positive rate and sensitivity, or recall and precision.
        threshold: scores at or above it pass; the first point of ROC has infinity.
    """

    x: Numbers
    y: Numbers
    threshold: Numbers


class Band(NamedTuple):
    """Ends of the 95 % interval of a curve's height, at each place of `GRID`."""

    x: Numbers
    low: Numbers
    high: Numbers


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

    Example:
        >>> curve = precision_recall_curve([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1])
        >>> curve.x.tolist(), curve.y.round(2).tolist()
        ([0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 0.67, 0.5])
    """
    passing = _passing(score, truth)
    recall, precision = _recall_precision(passing)
    return Curve(recall[0], precision[0], passing.threshold)


def weighted_auc(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Numbers:
    """Area under the ROC curve of each resample, (R,); NaN where it has one class only.

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
    """Precision, in the mean over the steps of recall, of each resample, (R,).

    The sum of (recall - recall before) * precision, without interpolation, which would be too
    optimistic (Davis and Goadrich 2006). NaN without positives.

    Example:
        >>> weighted_average_precision([0.2, 0.6, 0.9], [1, 0, 1], np.ones((1, 3))).round(3)
        array([0.833])
    """
    recall, precision = _recall_precision(_passing(score, truth, weights))
    steps = np.diff(recall, axis=1, prepend=0.0)
    return np.asarray((steps * np.where(steps > 0, precision, 0.0)).sum(1) + 0 * recall[:, -1])


def roc_band(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Band:
    """Interval of the highest sensitivity that each false positive rate allows."""
    x, y = _roc(_passing(score, truth, weights))
    known = np.isfinite(x[:, -1]) & np.isfinite(y[:, -1])
    rows = []
    for across, height in zip(x[known], y[known], strict=True):
        rows.append(height[np.searchsorted(across, GRID + TOLERANCE, side="right") - 1])
    return _band(rows)


def precision_band(score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any]) -> Band:
    """Interval of precision at the highest threshold that reaches each recall."""
    recall, precision = _recall_precision(_passing(score, truth, weights))
    known = np.isfinite(recall[:, -1])
    rows = []
    for across, height in zip(recall[known], precision[known], strict=True):
        rows.append(height[np.searchsorted(across, np.maximum(GRID - TOLERANCE, TOLERANCE))])
    return _band(rows)


def _band(rows: list[Numbers]) -> Band:
    if not rows:
        nothing = np.full_like(GRID, np.nan)
        return Band(GRID, nothing, nothing)
    tail = (100.0 - CONFIDENCE_PERCENT) / 2
    low, high = np.nanpercentile(np.stack(rows), [tail, 100.0 - tail], axis=0)
    return Band(GRID, low, high)


def _passing(
    score: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.NDArray[Any] | None = None
) -> _Passing:
    scores, true = np.asarray(score, np.float64), np.asarray(truth)
    if scores.shape != true.shape or scores.ndim != 1 or not len(scores):
        raise ValueError(f"{scores.shape} scores and {true.shape} truths; give (N,) of both")
    if not np.isin(true, (0, 1)).all():
        raise ValueError("the truth holds other values than 0 and 1; give 1 for a positive")
    counts = np.ones((1, len(scores))) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores
    sorted_counts, positive = counts[:, order], true[order].astype(bool)
    return _Passing(
        np.cumsum(sorted_counts * positive, axis=1)[:, ends],
        np.cumsum(sorted_counts * ~positive, axis=1)[:, ends],
        scores[order][ends],
    )


def _roc(passing: _Passing) -> tuple[Numbers, Numbers]:
    """Negatives and positives that pass as shares, with the point where none does in front."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (
            np.pad(part, ((0, 0), (1, 0))) / part[:, -1:]
            for part in (passing.negative, passing.positive)
        )
    return x, y


def _recall_precision(passing: _Passing) -> tuple[Numbers, Numbers]:
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = passing.positive / passing.positive[:, -1:]
        precision = passing.positive / (passing.positive + passing.negative)
    return recall, precision
