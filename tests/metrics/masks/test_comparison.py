# SPDX-License-Identifier: Apache-2.0
"""A prediction beside the truth: every figure of every region worked out by hand."""

import math

import numpy as np
import pytest
from scipy import ndimage

from medvol.metrics.masks.comparison import (
    CORRECT,
    EMPTY_RULE,
    ERRORS,
    FALSE,
    MISSED,
    LesionCounts,
    Measure,
    compare,
    count_lesions,
    error_map,
    foreground_box,
)

AFFINE = np.diag([-1.0, 2.0, 5.0, 1.0])  # 10 cubic mm, 0.01 ml
EVERY_VOXEL = Measure(smallest_lesion_ml=0.0)  # the lesions of these tests are small
REGIONS = {"lesion": (1, 2), "solid": (2,), "organ": (1, 2, 3)}


def row(*values: int) -> np.ndarray:
    """Voxels in a row along the first axis, with room on all sides."""
    labels = np.zeros((len(values) + 2, 3, 3), np.uint8)
    labels[1:-1, 1, 1] = values
    return labels


TRUE = row(1, 1, 2, 2, 3, 3, 0, 1, 0)
PREDICTED = row(0, 1, 1, 2, 3, 3, 0, 0, 2)


def test_each_figure_of_each_region() -> None:
    found = compare(
        PREDICTED, TRUE, AFFINE, REGIONS, lesions=("lesion", "solid"), measure=EVERY_VOXEL
    )
    assert list(found) == ["lesion", "solid", "organ"]
    lesion, solid, organ = found.values()
    # lesion: true voxels 1-4 and 8, marked 2-4 and 9
    assert (lesion.voxels_both, lesion.voxels_predicted, lesion.voxels_true) == (3, 4, 5)
    assert lesion.dice == pytest.approx(6 / 9)
    assert (lesion.true_ml, lesion.predicted_ml) == pytest.approx((0.05, 0.04))
    assert lesion.volume_error_ml == pytest.approx(-0.01)
    assert lesion.surface_dice == 1.0  # the farthest of all is 1 mm off, the tolerance is 3
    assert lesion.hd95_mm == pytest.approx(1.0)  # of 1, 0, 0, 0, 1: the last two of the way
    assert lesion.lesions == (2, 1, 2, 1)  # 8 is missed; 9 shares no voxel with it
    assert lesion.lesion_sensitivity == 0.5
    # solid: true 3-4, marked 4 and 9
    assert solid.dice == pytest.approx(0.5)
    assert solid.lesions == (1, 1, 2, 1)
    assert solid.volume_error_ml == 0
    assert solid.hd95_mm == pytest.approx(0.95 * 5)  # marks are 0 and 5 mm from the truth
    assert solid.surface_dice == pytest.approx(3 / 4)  # 3 and 4 are near a mark, of the marks 4
    # organ: true 1-6 and 8, marked 2-6 and 9; its components are no lesions
    assert organ.dice == pytest.approx(10 / 13)
    assert organ.lesions is None
    assert math.isnan(organ.lesion_sensitivity)


def test_tolerance_and_smallest_lesion_are_taken() -> None:
    strict = Measure(tolerance_mm=0.0, smallest_lesion_ml=0.02)
    found = compare(PREDICTED, TRUE, AFFINE, REGIONS, lesions=("lesion",), measure=strict)["lesion"]
    assert found.surface_dice == pytest.approx(6 / 9)  # every voxel of a row is surface
    assert found.lesions == (1, 1, 1, 0)  # two voxels are 0.02 ml and count, one does not
    assert Measure() == Measure(tolerance_mm=3.0, smallest_lesion_ml=0.1)
    usual = compare(PREDICTED, TRUE, AFFINE, REGIONS, lesions=("lesion",))["lesion"]
    assert usual.lesions == (0, 0, 0, 0)  # ten voxels are 0.1 ml


def test_row_for_a_table_has_none_where_a_figure_is_not_defined() -> None:
    found = compare(row(0, 0), row(0, 0), AFFINE, {"lesion": (1,)}, lesions=("lesion",))
    assert found["lesion"].row() == {
        "dice": None, "surface_dice": None, "hd95_mm": None, "true_ml": 0, "predicted_ml": 0,
        "volume_error_ml": 0, "voxels_both": 0, "voxels_predicted": 0, "voxels_true": 0,
        "lesion_sensitivity": None, "lesions_true": 0, "lesions_found": 0, "lesions_predicted": 0,
        "lesions_false": 0,
    }  # fmt: skip


def test_what_is_known_in_part_is_left_out_of_a_region_that_has_a_part_of_it() -> None:
    true, predicted = row(1, 3, 9, 9, 9, 0), row(1, 3, 3, 1, 0, 3)  # 9 is 0 or 3
    measure = Measure(smallest_lesion_ml=0.0, partly={9: (0, 3)})
    found = compare(
        predicted, true, AFFINE, {**REGIONS, "all": (0, 3)}, lesions=("lesion",), measure=measure
    )
    lesion, organ, rest = found["lesion"], found["organ"], found["all"]
    assert (lesion.voxels_both, lesion.voxels_predicted, lesion.voxels_true) == (1, 2, 1)
    # the first two and the last are known to be in the organ or not
    assert (organ.voxels_both, organ.voxels_predicted, organ.voxels_true) == (2, 3, 2)
    # of the row all but the first is in it, and of these one is marked 1
    assert (rest.voxels_both, rest.voxels_predicted, rest.voxels_true) == (4, 4, 5)


def test_prediction_empty() -> None:
    found = compare(
        row(0, 0, 0), row(1, 0, 1), AFFINE, {"x": (1,)}, lesions=("x",), measure=EVERY_VOXEL
    )["x"]
    assert (found.dice, found.surface_dice) == (0, 0)
    assert math.isnan(found.hd95_mm)
    assert found.lesions == (2, 0, 0, 0)
    assert found.lesion_sensitivity == 0
    assert found.volume_error_ml == pytest.approx(-0.02)


def test_truth_empty() -> None:
    found = compare(
        row(1, 0, 1), row(0, 0, 0), AFFINE, {"x": (1,)}, lesions=("x",), measure=EVERY_VOXEL
    )["x"]
    assert (found.dice, found.surface_dice) == (0, 0)
    assert math.isnan(found.hd95_mm)
    assert found.lesions == (0, 0, 2, 2)
    assert math.isnan(found.lesion_sensitivity)
    assert found.volume_error_ml == pytest.approx(0.02)


def test_both_empty() -> None:
    found = compare(row(0, 3), row(3, 0), AFFINE, {"x": (1,)}, lesions=("x",), measure=EVERY_VOXEL)[
        "x"
    ]
    assert all(math.isnan(v) for v in (found.dice, found.surface_dice, found.hd95_mm))
    assert found.lesions == (0, 0, 0, 0)
    assert found.volume_error_ml == 0


def test_the_rule_for_empty_masks_names_every_figure() -> None:
    for words in ("both empty", "only the prediction", "only the truth", "HD95", "pooled Dice"):
        assert words in EMPTY_RULE


def test_errors_are_three_segments() -> None:
    errors = error_map(PREDICTED, TRUE, (1, 2))
    assert errors[1:-1, 1, 1].tolist() == [
        MISSED, CORRECT, CORRECT, CORRECT, 0, 0, 0, MISSED, FALSE,
    ]  # fmt: skip
    assert errors.dtype == np.uint8
    assert [label.value for label in ERRORS] == [MISSED, FALSE, CORRECT]
    assert [label.name.split()[0] for label in ERRORS] == ["missed", "false", "correct"]


def test_errors_are_magenta_blue_and_green() -> None:
    magenta, blue, green = (ERRORS[value].color for value in (MISSED, FALSE, CORRECT))
    assert min(magenta[0], magenta[2]) > 2 * magenta[1]
    assert blue[2] > 2 * max(blue[:2])
    assert green[1] > max(green[0], green[2])


def test_box_of_nothing_has_no_size() -> None:
    nothing = np.zeros((3, 4), bool)
    assert nothing[foreground_box(nothing)].size == 0


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="differ in shape; bring both to one grid"):
        compare(row(1), row(1, 1), AFFINE, REGIONS)
    with pytest.raises(ValueError, match=r"tolerance_mm is -1\.0; give 0 or more"):
        Measure(tolerance_mm=-1.0)
    with pytest.raises(ValueError, match="smallest_lesion_ml is nan; give 0 or more"):
        Measure(smallest_lesion_ml=math.nan)
    with pytest.raises(ValueError, match="tolerance_mm is inf; give 0 or more"):
        Measure(tolerance_mm=math.inf)


def marks(text: str) -> np.ndarray:
    """One row of voxels, x for a lesion."""
    return np.array([[c == "x" for c in text]])


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ("xx..xx..x", "xx..xx..x", LesionCounts(3, 3, 3, 0)),
        ("xx..xx..x", "x........", LesionCounts(3, 1, 1, 0)),
        ("xx..xx...", ".......xx", LesionCounts(2, 0, 1, 1)),
        ("xx..xx...", "xxxxxx..x", LesionCounts(2, 2, 2, 1)),  # one mark finds two lesions
        ("xxxxxx...", "x.x.x...x", LesionCounts(1, 1, 4, 1)),  # three marks find one
        (".........", "x..x.....", LesionCounts(0, 0, 2, 2)),
        ("x..x.....", ".........", LesionCounts(2, 0, 0, 0)),
        (".........", ".........", LesionCounts(0, 0, 0, 0)),
    ],
)
def test_counts(true: str, predicted: str, expected: LesionCounts) -> None:
    assert count_lesions(marks(predicted), marks(true)) == expected


def test_small_ones_are_not_counted_but_find_and_are_found() -> None:
    # the true lesion of one voxel is not counted, so the mark on it is neither missed nor false;
    # the single voxel that finds the lesion of two is enough
    true, predicted = marks("x....xx...."), marks("xx...x...x.")
    assert count_lesions(predicted, true) == (2, 2, 3, 1)
    assert count_lesions(predicted, true, smallest_voxels=2) == LesionCounts(1, 1, 1, 0)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    flat, solid = np.eye(3, dtype=bool), np.zeros((3, 3, 3), bool)
    solid[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = True
    assert count_lesions(flat, flat).true == 1
    assert count_lesions(solid, solid).true == 1


@pytest.mark.parametrize("axes", [2, 3])
def test_counts_are_those_of_scipy(axes: int) -> None:
    random = np.random.default_rng(axes)
    for _ in range(200):  # cc3d errs on some shapes of images
        mask = random.random(random.integers(1, 9, axes)) > 0.7
        expected = ndimage.label(mask, np.ones((3,) * axes))[1]
        assert count_lesions(mask, mask) == (expected, expected, expected, 0)


def test_any_order_in_memory() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[0, 0, 0] = mask[3, 4, 5] = True
    turned = np.asfortranarray(mask)[::-1]
    assert count_lesions(turned, turned) == LesionCounts(2, 2, 2, 0)


def test_nothing_at_all() -> None:
    nothing = np.zeros((0, 0, 0), bool)
    assert count_lesions(nothing, nothing) == LesionCounts(0, 0, 0, 0)


@pytest.mark.parametrize(("smallest_ml", "counted"), [(0.02, 1), (0.0201, 0), (0.0, 1)])
def test_a_lesion_as_large_as_the_smallest_counts(smallest_ml: float, counted: int) -> None:
    """Two voxels of 0.01 ml."""
    measure = Measure(smallest_lesion_ml=smallest_ml)
    found = compare(row(0, 0), row(1, 1), AFFINE, {"x": (1,)}, lesions=("x",), measure=measure)
    assert found["x"].lesions == (counted, 0, 0, 0)
