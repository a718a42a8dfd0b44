# SPDX-License-Identifier: Apache-2.0
"""A prediction beside the truth: every figure of every region worked out by hand."""

import math

import numpy as np
import pytest

from medvol.metrics.masks.comparison import (
    CORRECT,
    EMPTY_RULE,
    ERRORS,
    FALSE,
    MISSED,
    Measure,
    compare,
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


# surface of a row of voxels: at each of 8 corners, and at each of 4 edges between two voxels
CORNER = math.sqrt((2 * 5) ** 2 + (1 * 5) ** 2 + (1 * 2) ** 2) / 8
EDGE = 1 * math.hypot(2, 5) / 2
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
    assert lesion.hd95_mm == pytest.approx(1.0)
    assert lesion.lesions == (2, 1, 2, 1)  # 8 is missed; 9 shares no voxel with it
    assert lesion.lesion_sensitivity == 0.5
    # solid: true 3-4, marked 4 and 9
    assert solid.dice == pytest.approx(0.5)
    assert solid.lesions == (1, 1, 2, 1)
    assert solid.volume_error_ml == 0
    assert solid.hd95_mm == 5.0  # the ends of the marks are 0, 0, 4 and 5 mm from the truth
    # all of 3 and 4 is near a mark, of the marks 4
    assert solid.surface_dice == pytest.approx((4 * CORNER + EDGE) / (6 * CORNER + EDGE))
    # organ: true 1-6 and 8, marked 2-6 and 9; its components are no lesions
    assert organ.dice == pytest.approx(10 / 13)
    assert organ.lesions is None
    assert math.isnan(organ.lesion_sensitivity)


def test_tolerance_and_smallest_lesion_are_taken() -> None:
    strict = Measure(tolerance_mm=0.0, smallest_lesion_ml=0.02)
    found = compare(PREDICTED, TRUE, AFFINE, REGIONS, lesions=("lesion",), measure=strict)["lesion"]
    # of the truth 2 to 4 and the far end of 8, of the marks 2 to 4 and the near end of 9
    assert found.surface_dice == pytest.approx(
        (5 * CORNER + 5 * EDGE) / (8 * CORNER + 5 * EDGE)
    )  # fmt: skip
    assert found.lesions == (1, 1, 1, 0)  # two voxels are 0.02 ml and count, one does not
    assert Measure() == Measure(tolerance_mm=3.0, smallest_lesion_ml=0.1)
    usual = compare(PREDICTED, TRUE, AFFINE, REGIONS, lesions=("lesion",))["lesion"]
    assert usual.lesions == (0, 0, 0, 0)  # ten voxels are 0.1 ml


def test_an_image_of_one_slice_has_outlines_for_surfaces() -> None:
    """3 x 2 and 4 x 2 pixels as in the test of outlines, in slices of any thickness."""
    true, long = np.zeros((2, 6, 1, 4), np.uint8)
    true[1:4, :, 1:3] = long[1:5, :, 1:3] = 1
    affine = np.diag([1.0, 7.0, 2.0, 1.0])
    found = compare(long, true, affine, {"x": (1,)}, measure=Measure(tolerance_mm=0.5))["x"]
    root = math.sqrt(5)
    assert found.surface_dice == pytest.approx((14 + 3 * root) / (18 + 4 * root))


def test_places_of_lesions_are_those_of_the_whole_grid() -> None:
    affine = AFFINE.copy()
    affine[:3, 3] = 10, 20, 30
    found = compare(row(0, 0, 0), row(0, 0, 1), affine, {"x": (1,)}, lesions=("x",))["x"]
    assert [(x.outcome, x.centre_mm) for x in found.matched] == [("missed", (7, 22, 35))]


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


@pytest.mark.parametrize(("smallest_ml", "counted"), [(0.02, 1), (0.0201, 0), (0.0, 1)])
def test_a_lesion_as_large_as_the_smallest_counts(smallest_ml: float, counted: int) -> None:
    """Two voxels of 0.01 ml."""
    measure = Measure(smallest_lesion_ml=smallest_ml)
    found = compare(row(0, 0), row(1, 1), AFFINE, {"x": (1,)}, lesions=("x",), measure=measure)
    assert found["x"].lesions == (counted, 0, 0, 0)
