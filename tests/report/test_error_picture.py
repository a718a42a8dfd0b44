# SPDX-License-Identifier: Apache-2.0
"""The picture of errors: each voxel of an L in its colour, in the right row and slice."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from phantoms import l_shape

from medvol.images.image import Image
from medvol.labels import Label, LabelTable
from medvol.metrics.masks.comparison import CORRECT, ERRORS
from medvol.report.error_picture import COLUMNS, ERROR_ALPHA, draw_errors, pick_slices
from medvol.report.figure import GAP, GUTTER, HEADER, MARGIN, WIDTH
from medvol.report.overlay import Look
from medvol.report.planes import FILL_ALPHA

LESION = (90, 110, 250)
TABLE = LabelTable((Label(1, "lesion", LESION), Label(2, "organ", (90, 170, 230))))
LOOK = Look((-1350.0, 150.0), (1,), title="phantom")
LPS = np.diag([-1.0, -1.0, 2.0, 1.0])
TRUE = l_shape()  # x 2-7 at y 2, then y 3-5 at x 7, in slice 2; two more voxels above
PREDICTED = TRUE.copy()
PREDICTED[2:5, 2, 2] = 0
PREDICTED[2:5, 8, 2] = 1
TRUE[0, 0, 5] = 2  # no lesion: it is nowhere in the picture
ROWS = {"truth": 0, "prediction": 1, "both": 2, "missed": 3}


def draw(path: Path, true: np.ndarray, predicted: np.ndarray, affine: np.ndarray = LPS) -> Path:
    volume = np.full(true.shape, -1350, np.int16)  # black: colours are not mixed with grey
    draw_errors(path, Image(volume, affine, Path("ct.nii.gz")), true, predicted, table=TABLE,
                look=LOOK)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return imread(draw(tmp_path_factory.mktemp("errors") / "l.png", TRUE, PREDICTED))[..., :3]


def slices_shown() -> list[int]:
    """Slice of each column, from the left: from head to feet."""
    wrong = ((TRUE == 1) != (PREDICTED == 1)).sum(axis=(0, 1))
    return pick_slices(wrong, (TRUE == 1).sum(axis=(0, 1)), COLUMNS)[::-1]


def color(picture: np.ndarray, row: str, voxel: tuple[int, int, int]) -> np.ndarray:
    """Mean red, green, blue in the middle of a voxel: 12 x 10 voxels fill a panel."""
    x, y, z = voxel
    left = MARGIN + GUTTER
    cell = (WIDTH - MARGIN - left - (COLUMNS - 1) * GAP) / COLUMNS
    column, size = slices_shown().index(z), cell / 12
    across = left + column * (cell + GAP) + (x + 0.5) * size
    down = HEADER + ROWS[row] * (10 * size + GAP) + (y + 0.5) * size
    part = picture[round(down) - 5 : round(down) + 6, round(across) - 5 : round(across) + 6]
    return part.mean(axis=(0, 1))


MISSED_VOXELS, FALSE_VOXELS = [(2, 2, 2), (4, 2, 2)], [(2, 8, 2), (4, 8, 2)]
CORRECT_VOXELS = [(6, 2, 2), (7, 4, 2), (7, 5, 3)]


@pytest.mark.parametrize("voxel", MISSED_VOXELS)
def test_missed_is_magenta_in_both_lower_rows(picture: np.ndarray, voxel) -> None:
    for row in ("both", "missed"):
        red, green, blue = color(picture, row, voxel)
        assert min(red, blue) > 0.15
        assert min(red, blue) > 2 * green


@pytest.mark.parametrize("voxel", FALSE_VOXELS)
def test_false_is_blue_and_not_in_the_row_of_missed(picture: np.ndarray, voxel) -> None:
    red, green, blue = color(picture, "both", voxel)
    assert blue > 0.15
    assert blue > 2 * max(red, green)
    assert color(picture, "missed", voxel).max() < 0.01


@pytest.mark.parametrize("voxel", CORRECT_VOXELS)
def test_correct_is_pale_green_and_not_in_the_row_of_missed(picture: np.ndarray, voxel) -> None:
    green = np.array(ERRORS[CORRECT].color) / 255 * ERROR_ALPHA  # over black
    assert color(picture, "both", voxel) == pytest.approx(green, abs=0.01)
    assert color(picture, "missed", voxel).max() < 0.01


def test_truth_and_prediction_have_the_colour_of_the_label(picture: np.ndarray) -> None:
    tint = np.array(LESION) / 255 * FILL_ALPHA
    marked = {"truth": MISSED_VOXELS, "prediction": FALSE_VOXELS}
    for row, other in (("truth", "prediction"), ("prediction", "truth")):
        for voxel in marked[row] + CORRECT_VOXELS:
            assert color(picture, row, voxel) == pytest.approx(tint, abs=0.01)
        for voxel in marked[other]:
            assert color(picture, row, voxel).max() < 0.01


def test_colours_have_a_pattern_too(picture: np.ndarray) -> None:
    """Dots and lines are dark in the tint, for a print in grey."""
    x, y, size = 54 + slices_shown().index(2) * 306.8, 80 + 2 * (249 + 8), 24.9

    def part(row: int) -> np.ndarray:
        top, left = round(y + (row + 0.2) * size), round(x + 2.2 * size)
        return picture[top : top + 14, left : left + 60].max(axis=-1)

    for row in (2, 8):
        assert (part(row) < 0.2).mean() > 0.05
        assert (part(row) > 0.3).mean() > 0.3


@pytest.mark.parametrize("flips", [(0,), (0, 1), (2,)], ids=["RPS", "RAS", "LPI"])
def test_picture_is_the_same_in_other_orientations(picture, tmp_path, flips) -> None:
    affine = LPS.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (TRUE.shape[axis] - 1)
        affine[:3, axis] *= -1
    path = draw(tmp_path / "a.png", np.flip(TRUE, flips), np.flip(PREDICTED, flips), affine)
    np.testing.assert_array_equal(imread(path)[..., :3], picture)


def test_legend_and_captions_say_how_much(tmp_path, drawn) -> None:
    big = np.diag([-10.0, -10.0, 10.0, 1.0])  # a voxel is 1 ml and 1 square cm
    draw(tmp_path / "a.png", TRUE, PREDICTED, big)
    for text in (
        "missed (false negative) 3.00 ml",
        "false (false positive) 3.00 ml",
        "correct (true positive) 8.00 ml",
        "false 3.0 cm²",
        "missed 3.0 cm²",
        "3 / 8",
        "level −600, width 1500 HU",
        "Research use only. Not a medical device.",
        *ROWS,
    ):
        assert text in drawn.texts, text
    assert [drawn.texts.count(letter) for letter in "RLAP"] == [20] * 4


def test_two_slices_are_a_row_each(tmp_path: Path) -> None:
    pair = [labels[:, :, 2:4] for labels in (TRUE, PREDICTED)]
    picture = imread(draw(tmp_path / "a.png", *pair))[..., :3]
    cell = (WIDTH - 2 * MARGIN - GUTTER - 3 * GAP) / 4
    size = cell / 12

    def middle(row: int, column: int, x: int, y: int) -> np.ndarray:
        down = round(HEADER + row * (10 * size + GAP) + (y + 0.5) * size)
        across = MARGIN + GUTTER + column * (cell + GAP) + (x + 0.5) * size
        return picture[down - 5 : down + 6, round(across) - 5 : round(across) + 6].mean(axis=(0, 1))

    # the upper row is the slice nearer to the head, where one voxel is marked, correctly
    green = np.array(ERRORS[CORRECT].color) / 255 * ERROR_ALPHA
    assert middle(0, 2, 7, 5) == pytest.approx(green, abs=0.01)
    assert middle(0, 2, 6, 2).max() < 0.01
    assert middle(1, 2, 6, 2) == pytest.approx(green, abs=0.01)
    red, green, blue = middle(1, 3, 3, 2)
    assert min(red, blue) > 2 * green
    assert middle(1, 1, 3, 2).max() < 0.01
    assert middle(1, 1, 3, 8).max() > 0.1


@pytest.mark.parametrize("what", ["nothing true", "nothing marked", "both empty", "no error"])
def test_empty_masks_have_a_picture(tmp_path: Path, what: str) -> None:
    true = np.zeros_like(TRUE) if what in ("nothing true", "both empty") else TRUE
    predicted = np.zeros_like(TRUE) if what in ("nothing marked", "both empty") else TRUE
    assert imread(draw(tmp_path / "a.png", true, predicted)).shape[1] == 1600


@pytest.mark.parametrize(
    ("wrong", "lesion", "expected"),
    [
        ([0, 5, 0, 0, 4, 0, 1], [0, 0, 9, 0, 0, 0, 0], [1, 2, 4]),  # fullest for least wrong
        ([0, 5, 0, 0, 4, 0, 1], [0, 9, 0, 0, 0, 0, 0], [1, 4, 6]),
        ([0, 5, 0, 0, 4, 0, 1], [0, 0, 0, 0, 0, 0, 0], [1, 4, 6]),
        ([0, 0, 0, 0, 0, 0, 0], [1, 0, 9, 0, 8, 0, 0], [0, 2, 4]),
        ([1, 1], [1, 1], [0, 1]),
    ],
)
def test_slices(wrong: list[int], lesion: list[int], expected: list[int]) -> None:
    assert pick_slices(np.array(wrong), np.array(lesion), 3) == expected


def test_masks_on_another_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give masks on the image's grid"):
        draw(tmp_path / "a.png", TRUE, PREDICTED[:-1])
    assert list(tmp_path.iterdir()) == []
