# SPDX-License-Identifier: Apache-2.0
"""What stays of a network's marks, in a chest of boxes with all that is mistaken for lung."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data import MetaTensor

from medvol.errors import Note
from medvol.lungs import SMALLEST_SHARE
from medvol.transforms.keys import notes_of
from medvol.transforms.lungs import GAS_SHARE, KeepInsideLungsd, in_lungs, two_lungs

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]
Box = tuple[slice, ...]
SHAPE = (32, 24, 20)
LUNG_HU, GAS_HU, TISSUE_HU, FLUID_HU = -850.0, -1000.0, 40.0, 10.0
LEFT, RIGHT = np.s_[5:14, 6:18, 8:18], np.s_[18:27, 6:18, 8:18]  # 9 x 12 x 10 voxels each
EACH = 9 * 12 * 10


def chest(*boxes: tuple[Box, float]) -> Volume:
    """A body of soft tissue in air, its middle at x = 16, with boxes of other HU in it."""
    volume = np.full(SHAPE, GAS_HU, np.float32)
    volume[2:30, 3:21] = TISSUE_HU
    for box, hu in boxes:
        volume[box] = hu
    return volume


def marks(*boxes: Box) -> Mask:
    marked = np.zeros(SHAPE, bool)
    for box in boxes:
        marked[box] = True
    return marked


LUNGS = ((LEFT, LUNG_HU), (RIGHT, LUNG_HU))


def test_both_lungs_whole() -> None:
    marked = marks(LEFT, RIGHT)
    low, high = two_lungs(marked, chest(*LUNGS))
    assert np.array_equal(low, marks(LEFT))
    assert np.array_equal(high, marks(RIGHT))
    assert np.array_equal(in_lungs(marked, chest(*LUNGS)), marked)


def test_dense_lower_lobes_stay() -> None:
    """The lower halves of both lungs are consolidated: no air, but they hang on what is aerated."""
    lobes = np.s_[5:14, 6:18, 8:13], np.s_[18:27, 6:18, 8:13]
    volume = chest(*LUNGS, *((lobe, TISSUE_HU) for lobe in lobes))
    assert two_lungs(marks(LEFT, RIGHT), volume)[0].sum() == EACH / 2
    assert in_lungs(marks(LEFT, RIGHT), volume).sum() == 2 * EACH


def test_a_lung_in_two_parts_with_consolidation_between_stays_whole() -> None:
    band = np.s_[5:14, 6:18, 12:14]
    volume = chest(*LUNGS, (band, TISSUE_HU))
    assert in_lungs(marks(LEFT, RIGHT), volume).sum() == 2 * EACH


def test_consolidation_at_an_effusion_stays_and_marks_in_the_effusion_go() -> None:
    """Fluid fills the lower half of the left chest; above it the lung is collapsed, and marked."""
    fluid, collapsed = np.s_[5:14, 6:18, 3:12], np.s_[5:14, 6:18, 11:12]
    aerated, in_fluid = np.s_[5:14, 6:18, 12:18], np.s_[8:10, 8:10, 5:7]
    volume = chest(*LUNGS, (fluid, FLUID_HU))
    kept = in_lungs(marks(aerated, collapsed, in_fluid, RIGHT), volume)
    assert np.array_equal(kept, marks(aerated, collapsed, RIGHT))


@pytest.mark.parametrize("hu", [GAS_HU, -935.0])  # -935: partly filled, or a table's foam
def test_bowel_with_its_wall_goes(hu: float) -> None:
    """Gas of 4 x 4 x 4 voxels below the left lung, with a wall that is taken for lesion."""
    gas, wall = np.s_[7:11, 8:12, 1:5], np.s_[7:11, 12:14, 1:5]
    volume = chest(*LUNGS, (gas, hu))
    kept = in_lungs(marks(LEFT, RIGHT, gas, wall), volume)
    assert np.array_equal(kept, marks(LEFT, RIGHT))


def test_gas_that_hangs_on_the_lung_by_marks_goes() -> None:
    """The wall of the stomach and the diaphragm are marked, so that its gas is joined to lung."""
    gas, wall = np.s_[7:11, 8:12, 2:6], np.s_[7:11, 8:12, 6:8]
    volume = chest(*LUNGS, (gas, GAS_HU))
    kept = in_lungs(marks(LEFT, RIGHT, gas, wall), volume)
    assert np.array_equal(kept, marks(LEFT, RIGHT, wall))


def test_lesion_beside_the_spine_below_the_lungs_goes() -> None:
    lesion = np.s_[15:17, 16:18, 1:4]
    kept = in_lungs(marks(LEFT, RIGHT, lesion), chest(*LUNGS))
    assert np.array_equal(kept, marks(LEFT, RIGHT))


def test_trachea_and_air_in_front_of_the_neck_go() -> None:
    trachea, before = np.s_[15:17, 10:12, 12:20], np.s_[10:22, 21:24, 16:20]
    volume = chest(*LUNGS, (trachea, GAS_HU))
    kept = in_lungs(marks(LEFT, RIGHT, trachea, before), volume)
    assert np.array_equal(kept, marks(LEFT, RIGHT))


def test_a_cavity_in_consolidation_stays() -> None:
    """Gas of 2 x 2 x 2 voxels in dense lung: enclosed on all sides."""
    lobe, cavity = np.s_[5:14, 6:18, 8:13], np.s_[8:10, 10:12, 10:12]
    volume = chest(*LUNGS, (lobe, TISSUE_HU), (cavity, GAS_HU))
    assert in_lungs(marks(LEFT, RIGHT), volume).sum() == 2 * EACH


def test_lungs_that_touch_each_other_are_one_part_and_both_sides_lung() -> None:
    junction = np.s_[14:18, 16:18, 10:16]
    volume, marked = chest(*LUNGS, (junction, LUNG_HU)), marks(LEFT, RIGHT, junction)
    low, high = two_lungs(marked, volume)
    assert np.array_equal(low, marked)
    assert np.array_equal(high, marked)


def test_without_one_lung_its_side_keeps_what_is_marked_at_the_other_s_height() -> None:
    """The left lung is white: islands of consolidation are all that is marked, and nothing tells
    which is true; below the lung, and in front of the body's middle, nothing is."""
    island, below = np.s_[8:11, 8:11, 12:15], np.s_[8:11, 8:11, 2:5]
    kept = in_lungs(marks(RIGHT, island, below), chest((RIGHT, LUNG_HU)))
    assert np.array_equal(kept, marks(RIGHT, island))


def test_after_one_lung_was_removed_the_other_is_the_only_one() -> None:
    low, high = two_lungs(marks(RIGHT), chest((RIGHT, LUNG_HU)))
    assert (low.any(), int(high.sum())) == (False, EACH)


def test_lungs_without_any_air_leave_nothing() -> None:
    assert not in_lungs(marks(LEFT, RIGHT), chest()).any()
    assert not in_lungs(marks(), chest(*LUNGS)).any()


@pytest.mark.parametrize(("slices", "lung"), [(1, False), (2, True)])
def test_a_twentieth_of_the_other_lung_is_a_lung(slices: int, lung: bool) -> None:
    """5 % of 1080 voxels are 54: of 6 x 5 voxels a slice, one has too few, two have enough."""
    assert SMALLEST_SHARE == 0.05
    part = np.s_[6:12, 8:13, 9 : 9 + slices]
    low, _ = two_lungs(marks(part, RIGHT), chest((part, LUNG_HU), (RIGHT, LUNG_HU)))
    assert low.any() == lung


@pytest.mark.parametrize(("thin", "found"), [(16, True), (17, False)])
def test_of_gas_more_than_a_quarter_is_below_950_hu(thin: int, found: bool) -> None:
    """A larger part of 64 voxels and a smaller one of 60: at a quarter it is lung, above gas."""
    assert GAS_SHARE == 0.25
    larger, smaller = np.s_[6:10, 6:10, 1:5], np.s_[6:10, 6:11, 8:11]
    volume = chest((larger, -900), (smaller, -900), (RIGHT, -900))
    volume[larger].flat[:thin] = -951
    values = np.full(64, -900.0)
    values[:thin] = -951
    volume[larger] = values.reshape(4, 4, 4)
    low, _ = two_lungs(marks(larger, smaller, RIGHT), volume)
    assert np.array_equal(low, marks(larger if found else smaller))


def test_a_lung_with_much_emphysema_stays_where_nothing_else_is() -> None:
    """Half of the left lung is below -950 HU."""
    volume = chest(*LUNGS, (np.s_[5:14, 6:18, 8:13], -960))
    assert in_lungs(marks(LEFT, RIGHT), volume).sum() == 2 * EACH


@pytest.mark.parametrize(
    ("dense", "cut"),
    [
        (np.s_[8:14, 11:13, 8:18], np.s_[8:]),
        (np.s_[9:11, 9:18, 8:18], np.s_[:, 9:]),
        (np.s_[9:11, 6:18, 8:15], np.s_[:, :, :15]),
    ],
)
def test_a_lung_that_a_border_cuts_into_parts_stays(dense: Box, cut: Any) -> None:
    """The left lung as a horseshoe round dense tissue; the bend lies beyond the border."""
    volume = chest(*LUNGS, (dense, TISSUE_HU))
    marked = marks(LEFT, RIGHT) & (volume < 0)
    assert np.array_equal(in_lungs(marked[cut], volume[cut]), marked[cut])


def test_a_short_stack_keeps_both_lungs() -> None:
    cut = np.s_[:, :, 11:13]
    marked = marks(LEFT, RIGHT)[cut]
    assert np.array_equal(in_lungs(marked, chest(*LUNGS)[cut]), marked)


def predicted(lesion: Box | None, mm: float = 5.0) -> dict[Any, Any]:
    """Scores of background, lesion and lung: the lungs marked, and a lesion somewhere."""
    labels = np.where(marks(LEFT, RIGHT), 2, 0)
    if lesion is not None:
        labels[lesion] = 1
    scores = torch.from_numpy(np.stack([(labels == value) * 0.6 + 0.1 for value in range(3)]))
    image = torch.from_numpy((chest(*LUNGS)[None] + 1350) / 1500)
    affine = torch.diag(torch.tensor([mm, mm, mm, 1.0], dtype=torch.float64))
    return {"image": MetaTensor(image, affine=affine), "pred": MetaTensor(scores, affine=affine)}


def test_background_is_certain_outside_and_scores_inside_stay() -> None:
    lesion = np.s_[15:17, 16:18, 1:4]
    given = predicted(lesion)
    found = KeepInsideLungsd("pred", lesion=[1])(given)["pred"]
    outside = torch.from_numpy(marks(lesion))
    assert torch.equal(found[:, outside], torch.tensor([[1.0], [0], [0]]).double().expand(3, 12))
    assert torch.equal(found[:, ~outside], given["pred"][:, ~outside])
    assert torch.equal(found.affine, given["pred"].affine)


def test_the_note_says_how_much_lesion_was_left_out() -> None:
    """12 voxels of 125 cubic mm."""
    notes = notes_of(KeepInsideLungsd("pred", lesion=[1])(predicted(np.s_[15:17, 16:18, 1:4])))
    words = "1.5 ml of lesion were marked outside the lungs and left out."
    assert notes == (Note("N_OUTSIDE", words),)


@pytest.mark.parametrize(("slices", "noted"), [(0, 0), (12, 0), (13, 1)])
def test_a_tenth_of_a_ml_is_worth_a_note(slices: int, noted: int) -> None:
    """Voxels of 2 mm are 8 cubic mm: 12 are 0.096 ml, 13 are 0.104 ml."""
    lesion = np.s_[15:16, 16:17, 0:slices] if slices else None
    assert len(notes_of(KeepInsideLungsd("pred", lesion=[1])(predicted(lesion, 2.0)))) == noted


def test_each_run_of_slices_that_a_gate_let_pass_has_lungs_of_its_own() -> None:
    """Slices 10 to 12 were not looked at: the lungs are in two parts, and none is left out.

    In the part above, the lesion beside the spine is left out as ever.
    """
    data = predicted(np.s_[15:17, 16:18, 14:16])
    data["pred"][0, :, :, 10:13], data["pred"][1:, :, :, 10:13] = 1.0, 0.0
    labels = KeepInsideLungsd("pred", lesion=[1])(data)["pred"].argmax(0).numpy()
    assert (labels == 1).sum() == 0
    assert [(labels[:, :, z] == 2).sum() for z in (8, 9, 10, 12, 13, 17)] == [
        216, 216, 0, 0, 216, 216,
    ]  # fmt: skip


def test_lung_alone_that_is_left_out_is_not_noted() -> None:
    data = predicted(np.s_[15:17, 16:18, 1:4])
    assert notes_of(KeepInsideLungsd("pred", lesion=[2])(data)) == ()


def test_no_lung_at_all_is_said() -> None:
    data = predicted(np.s_[15:17, 16:18, 1:4])
    data["image"][:] = 1.0  # dense everywhere
    (note,) = notes_of(KeepInsideLungsd("pred", lesion=[1])(data))
    assert note.text == "No lung was found, so 1.5 ml of lesion that were marked are left out."
