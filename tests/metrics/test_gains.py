# SPDX-License-Identifier: Apache-2.0
"""Two evaluations of the same cases: differences by hand, case by case."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from medvol.metrics.gains import gains

DICE = (  # before, after
    (0.5, 0.6), (0.7, 0.7), (0.4, 0.7), (0.8, 0.9), (0.6, 0.5), (0.9, 0.9), (0.0, 0.2), (0.7, 0.8),
)  # fmt: skip
COLUMNS = ("surface_dice", "lesions_true", "lesions_found", "lesions_false")


def mask(number: int, dice: float, *, true: int = 100) -> dict[str, Any]:
    """As many voxels are marked as there are in the truth, so that their share is Dice."""
    return {
        "case": f"case {number}", "patient": f"p{number}", "region": "lesion", "dice": dice,
        "voxels_both": dice * true, "voxels_predicted": true, "voxels_true": true,
        **dict.fromkeys(COLUMNS, ""),
    }  # fmt: skip


def image(number: int, truth: str, ill: float, *, predicted: str = "") -> dict[str, Any]:
    taken = predicted or ("ill" if ill > 0.5 else "well")
    own = ill if truth == "ill" else 1 - ill
    return {
        "case": f"{number}", "patient": f"{number}", "truth": truth, "predicted": taken,
        "probability_ill": ill, "probability_well": 1 - ill, "loss": -np.log(own),
    }  # fmt: skip


def test_the_mean_gain_has_the_interval_of_paired_differences() -> None:
    before, after = ([mask(n, pair[k]) for n, pair in enumerate(DICE)] for k in (0, 1))
    found = gains(before, after[::-1])  # in any order
    by = np.array([b - a for a, b in DICE])
    reach = t.ppf(0.975, 3.5) * by.std(ddof=1) / np.sqrt(8)
    mean = found.figures["lesion"]["dice_mean"]
    assert mean[:4] == pytest.approx((by.mean(), by.mean() - reach, by.mean() + reach, 8))
    assert found.figures["lesion"]["dice_pooled"][:3] == pytest.approx(mean[:3])  # equal volumes
    assert found.figures["lesion"]["dice_median"].value == pytest.approx(0.1)
    row = found.cases[0]
    assert (row["case"], row["before"], row["after"]) == ("case 7", 0.7, 0.8)
    assert row["gain"] == pytest.approx(0.1)
    assert found.unpaired == 0


def test_large_cases_count_more_in_pooled_dice() -> None:
    before, after = (
        [mask(n, pair[k], true=900 if n == 2 else 100) for n, pair in enumerate(DICE)]
        for k in (0, 1)
    )
    found = gains(before, after).figures["lesion"]["dice_pooled"]
    assert found.value == pytest.approx((9 * 0.3 + 0.4) / 16)


def test_a_case_of_one_evaluation_only_is_counted_and_left_out() -> None:
    before, after = ([mask(n, pair[k]) for n, pair in enumerate(DICE)] for k in (0, 1))
    found = gains(before[1:], [*after, mask(9, 1.0)])
    assert (len(found.cases), found.unpaired) == (7, 2)


def test_a_case_without_the_region_counts_in_pooled_dice_only() -> None:
    before, after = ([mask(n, pair[k]) for n, pair in enumerate(DICE)] for k in (0, 1))
    empty = {**mask(9, 0.0, true=0), "dice": ""}
    found = gains([*before, empty], [*after, {**empty, "dice": 0.0, "voxels_predicted": 800}])
    assert found.figures["lesion"]["dice_mean"].cases == 8
    assert found.figures["lesion"]["dice_pooled"].value == pytest.approx(10.6 / 24 - 4.6 / 8)
    assert found.cases[-1]["gain"] is None


def test_gains_of_classes() -> None:
    truth = ["ill", "ill", "ill", "well", "well", "well", "well", "well"]
    first = [0.9, 0.3, 0.4, 0.6, 0.2, 0.1, 0.35, 0.2]
    second = [0.9, 0.3, 0.8, 0.6, 0.2, 0.1, 0.35, 0.2]
    before, after = (
        [image(n, name, p) for n, (name, p) in enumerate(zip(truth, given, strict=True))]
        for given in (first, second)
    )
    found = gains(before, after).figures[""]
    assert found["accuracy"].value == pytest.approx(1 / 8)
    assert found["macro_recall"].value == pytest.approx((1 / 3 + 0) / 2)
    assert found["macro_auc"].value == pytest.approx(1 / 15)  # 0.4 lies below 0.6, 0.8 does not
    assert found["log_loss"].value == pytest.approx(np.log(0.4 / 0.8) / 8)
    # as if one more patient were right once only
    error = np.sqrt(np.array([1, *[0] * 7]).var(ddof=1) / 8 + 1 / 64)
    reach = t.ppf(0.975, 3.5) * error
    assert found["accuracy"][1:3] == pytest.approx((1 / 8 - reach, 1 / 8 + reach))


def test_what_cannot_be_compared() -> None:
    rows = [mask(n, 0.5) for n in range(5)]
    with pytest.raises(ValueError, match="no case in common"):
        gains(rows, [mask(9, 0.5)])
    with pytest.raises(ValueError, match="case 0 has another truth in the earlier evaluation"):
        gains(rows, [mask(0, 0.5, true=99)])
