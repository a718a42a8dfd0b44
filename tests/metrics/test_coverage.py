# SPDX-License-Identifier: Apache-2.0
"""Whether an image shows the organ: each limit from both sides, and in words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medvol.metrics.coverage import Coverage, cut_note, plane_of

LUNGS = Coverage("lungs", 150, 250, 15, (0.3, 2.5), (0.3, 8))
ROW = {"organ": "head", "extent_mm": 90, "usual_mm": 130, "slices": 15, "in_plane_mm": [0.4, 2],
       "between_slices_mm": [0.5, 8], "orientation": "axial"}  # fmt: skip


def codes(shape: tuple[int, int, int], *steps: float) -> list[str]:
    """Codes of the notes on a straight grid."""
    return [note.code for note in LUNGS.notes(shape, np.diag([*steps, 1.0]))]


def test_a_whole_chest_has_no_note() -> None:
    assert codes((512, 512, 120), 0.7, 0.7, 2.5) == []


@pytest.mark.parametrize(
    ("slices", "step", "found"),
    [(75, 2.0, []), (74, 2.0, ["N_COVERAGE"]),  # 150 and 148 mm
     (15, 8.0, ["N_COVERAGE"]), (19, 8.0, []), (14, 11.0, ["N_COVERAGE", "N_GRID"])],
)  # fmt: skip
def test_a_stack_too_short_or_of_too_few_slices(slices: int, step: float, found: list[str]) -> None:
    assert codes((512, 512, slices), 0.7, 0.7, step) == found


def test_few_slices_that_are_long_enough_are_said_to_be_few() -> None:
    (note, _) = LUNGS.notes((512, 512, 14), np.diag([0.7, 0.7, 11.0, 1.0]))
    assert note.text == (
        "14 slices, 154 mm: the lungs are not covered; the bundle needs about 250 mm in 15 slices "
        "or more."
    )


def test_the_words_of_one_slice_of_a_head() -> None:
    (note,) = Coverage.from_metadata(ROW).notes((256, 256, 1), np.diag([0.9, 0.9, 5.0, 1.0]))
    assert str(note) == (
        "N_COVERAGE 1 slice, 5 mm: the head is not covered; the bundle needs about 130 mm."
    )


def test_slices_count_along_the_body_whatever_the_order_of_axes() -> None:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -2.0, 0.7, 0.7, 1.0
    assert [note.code for note in LUNGS.notes((12, 512, 512), affine)] == ["N_COVERAGE"]
    assert LUNGS.notes((120, 512, 512), affine) == []


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((2.5, 2.5, 2.5), None),
        ((2.6, 2.6, 2.6), "across the patient are 2.6 mm (it was made for 0.3 to 2.5)"),
        ((0.3, 0.3, 2.0), None),
        ((0.2, 0.2, 2.0), "across the patient are 0.2 mm"),
        ((0.7, 0.7, 8.0), None),
        ((0.7, 0.7, 8.1), "slices between feet and head lie 8.1 mm"),
        ((0.7, 2.0, 0.7), "slices are coronal (it was made for axial ones)"),
        ((0.7, 1.0, 0.7), None),  # nearly as fine in all directions: no plane
    ],
)
def test_spacing_and_plane(steps: tuple[float, float, float], words: str | None) -> None:
    notes = LUNGS.notes((512, 512, 512), np.diag([*steps, 1.0]))
    assert [note.code for note in notes] == ([] if words is None else ["N_GRID"])
    assert words is None or words in notes[0].text


def test_planes() -> None:
    assert plane_of(np.diag([5.0, 1, 1, 1])) == "sagittal"
    assert plane_of(np.diag([1.0, 1, 1.5, 1])) == "axial"
    assert plane_of(np.diag([1.0, 1, 1.49, 1])) is None


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        ([6, 100, 6], ""),
        ([7, 100, 6], "begins within the lung: the lowest slice still shows 7 % of"),
        ([6, 100, 60], "ends within the lung: the highest slice still shows 60 %"),
        ([100, 90, 80], "begins and ends within the lung: the lowest slice still shows 100 % and "
         "the highest slice still shows 80 % of the largest area"),
        ([0, 0, 0], "no lung was found in the image."),
        ([7], "begins and ends"),
    ],
)  # fmt: skip
def test_an_organ_that_goes_on_beyond_the_stack(areas: list[int], words: str) -> None:
    notes = cut_note(np.array(areas, np.int64), "lung")
    assert [note.code for note in notes] == (["N_COVERAGE"] if words else [])
    assert not words or words in notes[0].text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"extent_mm": 0}, "not lengths in rising order"),
        ({"usual_mm": 149}, "not lengths in rising order"),
        ({"slices": 0}, "slices is 0"),
        ({"in_plane_mm": (2.5, 0.3)}, "in_plane_mm 2.5 to 0.3"),
        ({"between_slices_mm": (0, 8)}, "between_slices_mm 0 to 8"),
        ({"orientation": "oblique"}, "'oblique'; give one of sagittal, coronal, axial"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(LUNGS, **changed)


@pytest.mark.parametrize("lacking", list(ROW))
def test_metadata_must_name_all(lacking: str) -> None:
    assert Coverage.from_metadata(ROW).between_slices_mm == (0.5, 8.0)
    with pytest.raises(KeyError, match=lacking):
        Coverage.from_metadata({key: value for key, value in ROW.items() if key != lacking})
