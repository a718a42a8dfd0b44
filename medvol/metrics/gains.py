# SPDX-License-Identifier: Apache-2.0
"""What one evaluation gains on another of the same cases: differences with their intervals.

Both are of the same patients, so what is hard for one is hard for the other, and a difference is
surer than the two figures are. Each is the second evaluation's figure less the first's. Both come
as rows of `metrics.csv`, so that the first may have been made long ago.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .classes.ranking import weighted_auc
from .intervals import (
    Estimate,
    LeftOut,
    Numbers,
    Scale,
    figure_estimate,
    leave_out,
    mean_defined,
    median_estimate,
    ratio,
    ratio_estimate,
)

Row = Mapping[str, Any]
Pairs = Sequence[tuple[Row, Row]]  # of the first and of the second evaluation
Flags = npt.NDArray[np.bool_]
TRUE = "voxels_true"  # a column of masks only


class Gains(NamedTuple):
    """Differences of two evaluations.

    Args:
        figures: region, "" of classes, to the difference of each figure by name.
        cases: a row a case and region: case, patient, region, before, after, gain, of Dice, or of
            whether the class is right.
        unpaired: cases that only one of them has.
    """

    figures: Mapping[str, Mapping[str, Estimate]]
    cases: Sequence[Mapping[str, Any]]
    unpaired: int


def gains(before: Sequence[Row], after: Sequence[Row]) -> Gains:
    """Compare two evaluations case by case.

    Args:
        before, after: rows of their `metrics.csv`, of masks or of classes.

    Raises:
        ValueError: they have no case in common, or are not of the same truth.
    """
    earlier, later = ({(x["case"], x.get("region", "")): x for x in y} for y in (before, after))
    pairs = [(earlier[name], row) for name, row in later.items() if name in earlier]
    if not pairs:
        raise ValueError("the two evaluations have no case in common")
    masks = TRUE in pairs[0][1]
    for old, new in pairs:
        if str(old.get(TRUE if masks else "truth")) != str(new[TRUE if masks else "truth"]):
            raise ValueError(f"{new['case']} has another truth in the earlier evaluation")
    of: dict[str, list[tuple[Row, Row]]] = {}
    for old, new in pairs:
        of.setdefault(new.get("region", ""), []).append((old, new))
    figures = {region: (_of_masks if masks else _of_classes)(own) for region, own in of.items()}
    unpaired = {case for case, _ in earlier.keys() ^ later.keys()}
    return Gains(figures, [_case(old, new, masks) for old, new in pairs], len(unpaired))


def _case(old: Row, new: Row, masks: bool) -> dict[str, Any]:
    first, second = (_number(row, "dice") if masks else _right(row) for row in (old, new))
    return {
        "case": new["case"],
        "patient": new["patient"],
        "region": new.get("region", ""),
        "before": None if np.isnan(first) else first,
        "after": None if np.isnan(second) else second,
        "gain": None if np.isnan(second - first) else second - first,
    }


def _of_masks(pairs: Pairs) -> dict[str, Estimate]:
    """As `masks.evaluation` has them; Dice is of the cases whose truth has the region."""
    left_out = leave_out([new["patient"] for _, new in pairs])
    there = _column(pairs, 1, TRUE) > 0
    dice, surface = (
        np.where(there, _less(pairs, name), np.nan) for name in ("dice", "surface_dice")
    )
    lesions = np.nan_to_num(_column(pairs, 1, "lesions_true"))
    found = np.where(lesions > 0, _less(pairs, "lesions_found"), np.nan)
    return {
        "dice_pooled": _pooled(pairs, left_out),
        "dice_mean": _mean(dice, left_out),
        "dice_median": median_estimate(dice, left_out),
        "surface_dice_mean": _mean(surface, left_out),
        "lesion_sensitivity": ratio_estimate(found, lesions, left_out, scale=Scale.DIFFERENCE),
        "false_lesions_per_case": _mean(_less(pairs, "lesions_false"), left_out),
    }


def _of_classes(pairs: Pairs) -> dict[str, Estimate]:
    """As `classes.figures` has them."""
    left_out = leave_out([new["patient"] for _, new in pairs])
    often = np.vstack([np.ones(len(pairs)), left_out])  # first all cases
    truth = np.array([new["truth"] for _, new in pairs])
    classes = {name: truth == name for name in dict.fromkeys(truth.tolist())}
    right = [np.array([_right(pair[which]) for pair in pairs]) for which in (0, 1)]

    def gain(figure: Callable[[int, Flags], Numbers], groups: Sequence[Flags]) -> Estimate:
        before, after = (
            mean_defined([figure(which, own) for own in groups], axis=0) for which in (0, 1)
        )
        value, *without = after - before
        numbers = sum(number * own for number, own in enumerate(groups))
        return figure_estimate(
            float(value), np.array(without), left_out, scale=Scale.DIFFERENCE,
            classes=np.asarray(numbers),
        )  # fmt: skip

    def recall(which: int, own: Flags) -> Numbers:
        return np.asarray(ratio(often @ (right[which] * own), often @ own))

    def auc(which: int, own: Flags) -> Numbers:
        (name,) = {*truth[own]}
        column = "_".join(["probability", *str(name).split()])
        return weighted_auc(_column(pairs, which, column), own, often)

    return {
        "accuracy": gain(recall, [np.ones(len(pairs), bool)]),
        "macro_recall": gain(recall, [*classes.values()]),
        "macro_auc": gain(auc, [*classes.values()]),
        "log_loss": _mean(_less(pairs, "loss"), left_out),
    }


def _pooled(pairs: Pairs, left_out: LeftOut) -> Estimate:
    often = np.vstack([np.ones(len(pairs)), left_out])  # first all cases
    before, after = (
        ratio(
            2 * often @ _column(pairs, which, "voxels_both"),
            often @ (_column(pairs, which, "voxels_predicted") + _column(pairs, which, TRUE)),
        )
        for which in (0, 1)
    )
    value, *without = after - before
    return figure_estimate(float(value), np.array(without), left_out, scale=Scale.DIFFERENCE)


def _mean(differences: Numbers, left_out: LeftOut) -> Estimate:
    one = np.ones(len(differences))
    return ratio_estimate(differences, one, left_out, scale=Scale.DIFFERENCE)


def _less(pairs: Pairs, column: str) -> Numbers:
    """(cases,) of the second less of the first."""
    return _column(pairs, 1, column) - _column(pairs, 0, column)


def _column(pairs: Pairs, which: int, column: str) -> Numbers:
    return np.array([_number(pair[which], column) for pair in pairs])


def _number(row: Row, column: str) -> float:
    """NaN where a table says nothing."""
    return float(row[column]) if row[column] not in ("", None) else np.nan


def _right(row: Row) -> float:
    return float(row["predicted"] == row["truth"])
