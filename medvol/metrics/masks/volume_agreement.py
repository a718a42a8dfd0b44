# SPDX-License-Identifier: Apache-2.0
"""Predicted volumes beside the true ones, after Bland and Altman (1999, doi
10.1177/096228029900800204): the bias, and the limits of agreement about it.

Limits mean something only where small and large volumes differ by as much. Those of lesions do not:
the difference grows with the lesion, so limits in ml would be those of the largest cases and say
nothing of the small ones. So where volumes span a decade their ratios are compared, on a log scale.
A ratio needs both volumes, so cases in which one mask is empty are counted apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..intervals import (
    Estimate,
    LeftOut,
    Numbers,
    Scale,
    figure_estimate,
    ratio,
    ratio_estimate,
)

DECADE = 10.0  # of largest over smallest volume, from which on ratios are compared
NORMAL = 1.96  # standard deviations to both sides of the mean that hold 95 % of a normal curve
FEWEST = 3  # cases that limits can be made of


@dataclass(frozen=True, eq=False)
class VolumeAgreement:
    """Volumes of a region in all cases.

    Args:
        true_ml: (cases,).
        predicted_ml: (cases,) the same of the predictions.
        as_ratio: predicted over true is compared, else predicted less true in ml.
        bias: mean difference in ml, or the geometric mean of the ratios.
        low, high: limits of agreement, between which 95 % of new cases are expected; NaN of fewer
            than `FEWEST` cases.
    """

    true_ml: Numbers
    predicted_ml: Numbers
    as_ratio: bool
    bias: Estimate
    low: Estimate
    high: Estimate

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        """(cases,) those that bias and limits are of: with the region in both masks, or in one."""
        return _used(self.true_ml, self.predicted_ml, self.as_ratio)

    @property
    def empty(self) -> int:
        """Cases with the region in one mask only, which have no ratio."""
        return int(((self.true_ml > 0) != (self.predicted_ml > 0)).sum())

    def record(self) -> dict[str, Any]:
        """By name, for JSON."""
        return {
            "compared": "predicted / true" if self.as_ratio else "predicted - true, ml",
            "bias": self.bias.record(),
            "low_limit": self.low.record(),
            "high_limit": self.high.record(),
            "one_mask_empty": self.empty,
        }


def volume_agreement(true_ml: Numbers, predicted_ml: Numbers, left_out: LeftOut) -> VolumeAgreement:
    """Bias and limits of agreement, as ratios where the volumes span a `DECADE`.

    Args:
        true_ml: (cases,).
        predicted_ml: (cases,) the same of the predictions.
        left_out: of `intervals.leave_out` for the same cases.

    Example:
        >>> from medvol.metrics.intervals import leave_out
        >>> true = np.array([1.0, 10.0, 100.0])
        >>> found = volume_agreement(true, true / 2, leave_out("abc"))
        >>> round(found.bias.value, 3), round(found.low.value, 3)
        (0.5, 0.5)
    """
    both = (true_ml > 0) & (predicted_ml > 0)
    volumes = np.concatenate([true_ml[both], predicted_ml[both]])
    as_ratio = bool(len(volumes) and volumes.max() >= DECADE * volumes.min())
    used = _used(true_ml, predicted_ml, as_ratio)
    true, predicted = true_ml[used], predicted_ml[used]
    differences = np.full(len(used), np.nan)
    differences[used] = np.log(predicted / true) if as_ratio else predicted - true
    bias = ratio_estimate(differences, np.ones(len(used)), left_out, scale=Scale.DIFFERENCE)
    found = [bias, *_limits(differences[used], left_out[:, used])]
    if as_ratio:
        found = [_exponential(estimate) for estimate in found]
    return VolumeAgreement(true_ml, predicted_ml, as_ratio, *found)


def _used(true_ml: Numbers, predicted_ml: Numbers, as_ratio: bool) -> npt.NDArray[np.bool_]:
    there = true_ml > 0, predicted_ml > 0
    return there[0] & there[1] if as_ratio else there[0] | there[1]


def _exponential(of: Estimate) -> Estimate:
    value, low, high = np.exp(of[:3]).tolist()
    return of._replace(value=value, low=low, high=high)


def _limits(differences: Numbers, left_out: LeftOut) -> list[Estimate]:
    """Mean less and plus `NORMAL` standard deviations; NaN of fewer than `FEWEST` cases.

    Args:
        differences: (cases,).
        left_out: (R, cases), see `intervals.leave_out`.
    """
    if len(differences) < FEWEST:
        return [Estimate(np.nan, np.nan, np.nan, len(differences))] * 2
    often = np.vstack([np.ones(len(differences)), left_out])  # first the cases as they are
    number, centre = often.sum(1), differences.mean()
    mean = ratio(often @ (differences - centre), number)
    variance = ratio(often @ (differences - centre) ** 2 - number * mean**2, number - 1)
    spread = NORMAL * np.sqrt(np.maximum(variance, 0))
    ends = [centre + mean + sign * spread for sign in (-1, 1)]
    scale = Scale.DIFFERENCE
    return [figure_estimate(float(x[0]), x[1:], left_out, scale=scale) for x in ends]
