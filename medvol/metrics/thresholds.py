# SPDX-License-Identifier: Apache-2.0
"""What a threshold on the probability of a finding does, and a choice of one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .ranking import roc_curve

USUAL = tuple(step / 10 for step in range(1, 10))


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
        """Share of the positives that are found; NaN without positives."""
        return _share(self.found, self.missed)

    @property
    def specificity(self) -> float:
        """Share of the negatives that pass; NaN without negatives."""
        return _share(self.passed, self.false)

    @property
    def precision(self) -> float:
        """Share of what is taken for positive that is; NaN where nothing is taken."""
        return _share(self.found, self.false)

    @property
    def negative_precision(self) -> float:
        """Share of what is taken for negative that is; NaN where nothing is."""
        return _share(self.passed, self.missed)


def threshold_rows(
    probability: npt.ArrayLike, truth: npt.ArrayLike, thresholds: Sequence[float] = USUAL
) -> list[ThresholdRow]:
    """What each threshold does, in the order given.

    Args:
        probability: (N,) of the finding.
        truth: (N,) 0 or 1.
        thresholds: any.

    Example:
        >>> threshold_rows([0.2, 0.6, 0.5, 0.9], [0, 0, 1, 1], [0.5])
        [ThresholdRow(threshold=0.5, found=2, missed=0, false=1, passed=1)]
    """
    scores, positive = np.asarray(probability, np.float64), np.asarray(truth).astype(bool)
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
        Of equal ones the highest; NaN where there is one class only.

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


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")
