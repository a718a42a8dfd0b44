# SPDX-License-Identifier: Apache-2.0
"""Lungs, body and what is inside, counted in tiny chests; scores that are kept there."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import CropForegroundd
from phantoms import AIR_HU, TISSUE_HU, tiny_chest

from medvol.transforms.body import (
    Foreground,
    KeepInsideBodyd,
    body_mask,
    chest_mask,
    inside_body,
    lung_mask,
)
from medvol.transforms.intensity import LUNG_WINDOW_HU, window_hu

Volume = npt.NDArray[np.float32]
LUNGS = np.s_[6:26, 10:22, 4:12]  # the box round both lungs of tiny_chest
BODY = np.s_[3:29, 5:27, 0:16]


def chest() -> Volume:
    return tiny_chest().ct.astype(np.float32)


def chest_on_table() -> Volume:
    """The chest, and 2 voxels behind it a table: a dense plate on foam."""
    ct = chest()
    ct[2:30, 29], ct[2:30, 30] = 200, -900
    return ct


def box_of(mask: npt.NDArray[np.bool_]) -> tuple[slice, ...]:
    places = np.argwhere(mask)
    return tuple(slice(a, b + 1) for a, b in zip(places.min(0), places.max(0), strict=True))


def test_both_lungs_without_the_consolidation_and_nothing_else() -> None:
    """1536 voxels of lung, of which 32 are consolidated, so dense; ground-glass is air enough."""
    mask = lung_mask(chest())
    assert mask.sum() == 1536 - 32
    assert box_of(mask) == LUNGS
    assert not mask[tiny_chest().labels == 2].any()
    assert mask[tiny_chest().labels == 1].all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_in_memory_does_not_matter(order: str) -> None:
    assert np.array_equal(lung_mask(np.asarray(chest(), order=order)), lung_mask(chest()))  # type: ignore


def test_table_and_air_around_the_patient_are_no_lung() -> None:
    assert box_of(lung_mask(chest_on_table())) == LUNGS


def test_lungs_that_the_scan_cuts_above_and_below_are_kept() -> None:
    cut = chest()[:, :, 5:11]
    assert lung_mask(cut).sum() == 2 * 8 * 12 * 6 - 32


def test_one_lung_at_the_side_of_the_scan_is_taken_for_air_outside() -> None:
    """A field of view that cuts into the first lung: only the other one is found."""
    assert box_of(lung_mask(chest()[8:])) == np.s_[10:18, 10:22, 4:12]


def test_lungs_that_are_both_cut_are_taken_for_air_outside() -> None:
    """None is found, so a crop keeps the whole volume."""
    assert not lung_mask(chest()[:, 12:]).any()


def test_small_pockets_of_air_are_no_lung() -> None:
    """0.2 % of 32 x 32 x 16 voxels is 32.8: a pocket of 32 is too small, one of 33 is not."""
    ct = np.full((32, 32, 16), TISSUE_HU, np.float32)
    ct[5:9, 5:9, 5:7] = AIR_HU
    assert not lung_mask(ct).any()
    ct[9, 5, 5] = AIR_HU
    assert lung_mask(ct).sum() == 33


@pytest.mark.parametrize(("hu", "air", "dense"), [
    (-400.5, True, False), (-400.0, False, False), (-300.0, False, False), (-299.5, False, True),
])  # fmt: skip
def test_what_is_air_and_what_is_body(hu: float, air: bool, dense: bool) -> None:
    ct = np.full((12, 12, 12), -350.0, np.float32)
    ct[4:8, 4:8, 4:8] = hu
    assert lung_mask(ct).sum() == (64 if air else 0)
    assert body_mask(ct).sum() == (64 if dense else 0)


def test_air_of_just_the_smallest_share_is_lung() -> None:
    """0.2 % of 1000 voxels are 2."""
    ct = np.full((10, 10, 10), TISSUE_HU, np.float32)
    ct[4:6, 5, 5] = AIR_HU
    assert lung_mask(ct).sum() == 2


SIDES = [np.s_[0, 2:8, 2:8], np.s_[-1, 2:8, 2:8], np.s_[2:8, 0, 2:8], np.s_[2:8, -1, 2:8]]
BESIDE = [np.s_[1, 2:8, 2:8], np.s_[-2, 2:8, 2:8], np.s_[2:8, 1, 2:8], np.s_[2:8, -2, 2:8]]
ENDS = [np.s_[2:8, 2:8, 0], np.s_[2:8, 2:8, -1]]


@pytest.mark.parametrize(
    ("pocket", "is_lung"),
    [*((side, False) for side in SIDES), *((place, True) for place in (*BESIDE, *ENDS))],
)
def test_air_at_any_side_is_outside_and_at_the_ends_it_is_not(
    pocket: tuple[int | slice, ...], is_lung: bool
) -> None:
    ct = np.full((10, 10, 10), TISSUE_HU, np.float32)
    ct[pocket] = AIR_HU
    assert lung_mask(ct).sum() == (36 if is_lung else 0)


def test_air_that_touches_only_at_a_corner_is_apart() -> None:
    """6-connected: the air outside does not leak into the lung over an edge of two voxels."""
    ct = chest()
    ct[6:14, 5:10, 4:12] = TISSUE_HU
    ct[5, 5:10, 3] = AIR_HU  # a diagonal neighbour of the lung, open to the outside
    assert lung_mask(ct).sum() == 1536 - 32


def test_the_body_is_the_largest_dense_part() -> None:
    mask = body_mask(chest_on_table())
    assert box_of(mask) == BODY
    assert mask.sum() == 26 * 22 * 16 - 1536  # lungs, and the island of consolidation in them


def test_dense_parts_that_touch_only_at_an_edge_are_two() -> None:
    ct = np.full((8, 8, 8), AIR_HU, np.float32)
    ct[:4, :4], ct[4:, 4:6] = TISSUE_HU, TISSUE_HU
    assert body_mask(ct).sum() == 4 * 4 * 8


CHEST = np.s_[3:29, 5:27, 4:12]  # the body's width and depth, the lungs' slices


def test_the_chest_is_the_body_in_the_slices_of_the_lungs() -> None:
    mask = chest_mask(chest_on_table())
    assert box_of(mask) == CHEST
    assert mask.sum() == 26 * 22 * 8


def test_the_chest_holds_a_lung_without_air() -> None:
    """One lung all white, the other aerated in its upper half only: as wide as before."""
    ct = chest()
    ct[6:14, 10:22, 4:12] = TISSUE_HU
    ct[18:26, 10:22, 4:8] = TISSUE_HU
    assert box_of(lung_mask(ct))[0] == slice(18, 26)
    assert box_of(chest_mask(ct)) == np.s_[3:29, 5:27, 8:12]


def test_a_body_without_lungs_is_kept_in_all_slices() -> None:
    ct = chest()
    ct[6:26, 10:22, 4:12] = TISSUE_HU
    assert box_of(chest_mask(ct)) == BODY


@pytest.mark.parametrize("hu", [AIR_HU, TISSUE_HU], ids=["air", "water"])
def test_no_lung_found_gives_an_empty_mask(hu: int) -> None:
    assert not lung_mask(np.full((8, 8, 8), hu, np.float32)).any()


def test_no_body_found_gives_an_empty_mask() -> None:
    assert not body_mask(np.full((8, 8, 8), AIR_HU, np.float32)).any()
    assert not chest_mask(np.full((8, 8, 8), AIR_HU, np.float32)).any()


@pytest.mark.parametrize("find", ["chest", "lungs", "body"])
def test_when_nothing_is_found_everything_is_kept(find: str) -> None:
    selected = Foreground(find)(torch.full((1, 6, 5, 4), float(AIR_HU)))
    assert selected.shape == (1, 6, 5, 4)
    assert selected.all()


@pytest.mark.parametrize(
    ("find", "margin", "box"),
    [
        ("lungs", 0, LUNGS),
        ("lungs", (2, 3, 1), np.s_[4:28, 7:25, 3:13]),
        ("lungs", (100, 0, 4), np.s_[0:32, 10:22, 0:16]),  # the margin ends at the border
        ("body", 0, BODY),
        ("body", 4, np.s_[0:32, 1:31, 0:16]),
        ("chest", (0, 0, 2), np.s_[3:29, 5:27, 2:14]),
    ],
)
def test_the_crop_of_a_chain(find: str, margin: int | tuple[int, ...], box: tuple) -> None:  # type: ignore
    ct = torch.from_numpy(chest())[None]
    crop = CropForegroundd(
        "image", source_key="image", select_fn=Foreground(find), margin=margin, allow_smaller=True
    )
    out = crop({"image": MetaTensor(ct)})["image"]
    assert torch.equal(out.as_tensor(), ct[(slice(None), *box)])


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="find is 'lung'; give one of chest, lungs, body"):
        Foreground("lung")


BODY_VOXELS = 26 * 22 * 16


def test_the_body_with_its_lungs_and_without_the_table() -> None:
    mask = inside_body(chest_on_table())
    assert mask[BODY].all()
    assert mask.sum() == BODY_VOXELS


def test_a_lung_that_the_field_of_view_cuts_is_inside() -> None:
    """5 voxels of the first lung's 8 are left, open to the border: no hole that could be filled."""
    cut = chest_on_table()[9:]
    lungs = tiny_chest().labels[9:] > 0
    assert lungs[0].any()
    assert inside_body(cut)[lungs].all()


def test_lungs_that_the_field_of_view_cuts_in_front_are_inside() -> None:
    """What is left of them is open along y, and lies between the sides of the body along x."""
    cut = chest_on_table()[:, 12:]
    lungs = tiny_chest().labels[:, 12:] > 0
    assert lungs[:, 0].any()
    assert inside_body(cut)[lungs].all()


def test_a_cut_lung_of_which_the_scan_has_no_end_is_inside() -> None:
    """Nothing of the body lies above or below, so only its sides say what is inside."""
    lungs = tiny_chest().labels[9:, :, 5:11] > 0
    assert inside_body(chest_on_table()[9:, :, 5:11])[lungs].all()


def test_a_lesion_in_a_cut_lung_is_inside() -> None:
    cut = chest_on_table()[9:]
    cut[1:3, 14:17, 6:9] = 30  # dense, so no lung; surrounded by lung, and not part of the body
    assert inside_body(cut)[1:3, 14:17, 6:9].all()


def test_no_body_keeps_everything() -> None:
    assert inside_body(np.full((4, 4, 4), AIR_HU, np.float32)).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_outside_become_certain_background(classes: int) -> None:
    ct = chest_on_table()
    scores = torch.full((classes, *ct.shape), 1 / classes)
    data = {"image": torch.from_numpy(window_hu(ct, LUNG_WINDOW_HU))[None], "pred": scores}
    kept = KeepInsideBodyd("pred")(data)["pred"]
    inside = torch.zeros(ct.shape, dtype=torch.bool)
    inside[BODY] = True
    assert (kept[:, inside] == 1 / classes).all()
    assert (kept[0, ~inside] == 1).all()
    assert (kept[1:, ~inside] == 0).all()
    assert (scores == 1 / classes).all()  # the input is left as it was
