# SPDX-License-Identifier: Apache-2.0
"""What lies in the patient, counted in tiny chests, and scores that are kept there."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from phantoms import AIR_HU, tiny_chest

from medvol.transforms.inside_body import KeepInsideBodyd, inside_body
from medvol.transforms.intensity import LUNG_WINDOW_HU, window_hu

BODY = np.s_[3:29, 5:27, 0:16]
BODY_VOXELS = 26 * 22 * 16


def chest_on_table() -> npt.NDArray[np.float32]:
    """The chest, and 2 voxels behind it a table: a dense plate on foam."""
    ct = tiny_chest().ct.astype(np.float32)
    ct[2:30, 29], ct[2:30, 30] = 200, -900
    return ct


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
