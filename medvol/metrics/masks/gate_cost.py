# SPDX-License-Identifier: Apache-2.0
"""What a gate costs and saves at a threshold: hidden lesion, slices passed in vain, time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...slices import Passing, passing_slices
from ..intervals import ratio

Counts = npt.NDArray[np.int64]
MOST_MISSED_PERCENT = 1.0  # of the lesion volume, that a threshold may hide to be chosen


@dataclass(frozen=True, eq=False)
class GateCase:
    """One labelled volume, its gate's probabilities, and its segmentation without the gate.

    Args:
        case: name.
        probability: (Z,) of the slices of the network's input.
        nearest: (N,) for each slice of the input the nearest of these, -1 where a crop left none.
        true: (N,) lesion voxels in each slice of the input.
        predicted: (N,) voxels that the segmenter marks as lesion without the gate.
        both: (N,) voxels that are lesion in both.
        voxel_ml: volume of a voxel of the input.
        gate_s: seconds that the gate took.
        segment_s: seconds that the segmenter took for all slices.
    """

    case: str
    probability: npt.NDArray[np.floating]
    nearest: Counts
    true: Counts
    predicted: Counts
    both: Counts
    voxel_ml: float
    gate_s: float
    segment_s: float


class Cost(NamedTuple):
    """One line of the table, over all cases.

    Args:
        threshold: lowest probability that passes.
        missed_ml: true lesion in slices that do not pass.
        missed_percent: the same of all true lesion; NaN without any.
        missed_cases: cases with lesion of which no slice with lesion passes.
        passed_percent: input slices that pass.
        false_slices: input slices without lesion that pass.
        false_percent: the same of all input slices without lesion; NaN without any.
        dice: of lesion behind the gate, all voxels pooled; NaN without lesion in both.
        dice_change: the same, -1 to 1, less that without the gate.
        seconds: of gate and segmenter together, by the share of windows that is computed.
        saved_percent: of the time of the segmenter without a gate; below 0 where the gate costs
            more than it saves.
    """

    threshold: float
    missed_ml: float
    missed_percent: float
    missed_cases: int
    passed_percent: float
    false_slices: int
    false_percent: float
    dice: float
    dice_change: float
    seconds: float
    saved_percent: float


def gate_cost(
    cases: Sequence[GateCase],
    threshold: float,
    *,
    margin: int,
    gap: int,
    share: Callable[[Passing], float],
) -> Cost:
    """Add up what a gate hides and saves at one threshold.

    Args:
        cases: of one data set.
        threshold: lowest probability that passes.
        margin, gap: see `passing_slices`.
        share: which slices (Z,) pass, to the share of the segmenter's windows that is computed.
    """
    passing = [passing_slices(c.probability, threshold, margin=margin, gap=gap) for c in cases]
    seen = [(c.nearest >= 0) & passed[c.nearest] for c, passed in zip(cases, passing, strict=True)]
    lost = [bool(c.true.any() > c.true[s].any()) for c, s in zip(cases, seen, strict=True)]
    plain_s = sum(c.segment_s for c in cases)
    gated_s = sum(
        c.gate_s + c.segment_s * share(passed) for c, passed in zip(cases, passing, strict=True)
    )
    ml = np.concatenate([c.true * c.voxel_ml for c in cases])
    true, predicted, both = (
        np.concatenate([getattr(c, name) for c in cases]) for name in ("true", "predicted", "both")
    )
    passes, healthy = np.concatenate(seen), true == 0
    dice = float(ratio(2 * both[passes].sum(), predicted[passes].sum() + true.sum()))
    return Cost(
        threshold=threshold,
        missed_ml=float(ml[~passes].sum()),
        missed_percent=_percent(ml[~passes].sum(), ml.sum()),
        missed_cases=sum(lost),
        passed_percent=_percent(passes.sum(), len(passes)),
        false_slices=int((passes & healthy).sum()),
        false_percent=_percent((passes & healthy).sum(), healthy.sum()),
        dice=dice,
        dice_change=dice - float(ratio(2 * both.sum(), predicted.sum() + true.sum())),
        seconds=gated_s,
        saved_percent=100 - _percent(gated_s, plain_s),
    )


def choose(costs: Sequence[Cost], *, most_missed_percent: float = MOST_MISSED_PERCENT) -> Cost:
    """The highest threshold that misses no case and at most a share of the lesion volume.

    The lowest threshold where none does so.

    Example:
        >>> missed_percent = {0.1: 0.2, 0.3: 0.9, 0.5: 4.0}
        >>> costs = [Cost(t, 0.0, missed, *[0] * 8) for t, missed in missed_percent.items()]
        >>> choose(costs).threshold
        0.3
    """
    ordered = sorted(costs)
    good = [cost for cost in ordered if hides_little(cost, most_missed_percent)]
    return good[-1] if good else ordered[0]


def hides_little(cost: Cost, most_missed_percent: float) -> bool:
    """Whether a threshold misses no case and at most a share of the lesion, if there is any."""
    return not cost.missed_cases and not cost.missed_percent > most_missed_percent


def _percent(part: float, whole: float) -> float:
    return float(ratio(100 * part, whole))
