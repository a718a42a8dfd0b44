# SPDX-License-Identifier: Apache-2.0
"""The focal Tversky loss, worked out by hand."""

import pytest
import torch

from medvol.training.losses import FocalTverskyLoss

SCORES = torch.tensor([[[10.0, -10.0, -10.0, -10.0], [-10.0, 10.0, 10.0, 10.0]]])[..., None]
TRUE = torch.tensor([[[0, 0, 1, 1]]])[..., None]
# class 1: two pixels both, one false, none missed: 2 / (2 + 0.3 * 1)
INDEX = 2 / 2.3
SETTINGS = {"include_background": False, "to_onehot_y": True, "softmax": True}


def test_value_by_hand() -> None:
    loss = FocalTverskyLoss(smooth_nr=0, smooth_dr=0, **SETTINGS)
    assert loss(SCORES, TRUE).item() == pytest.approx((1 - INDEX) ** 0.75, abs=1e-5)


def test_a_missed_pixel_costs_more_than_a_false_one() -> None:
    loss = FocalTverskyLoss(**SETTINGS)
    one_false = loss(SCORES, TRUE)
    one_missed = loss(SCORES.flip(1)[:, :, [0, 1, 2, 3]], 1 - TRUE)
    assert one_missed > one_false


def test_the_exponent_1_is_the_tversky_loss() -> None:
    loss = FocalTverskyLoss(1.0, smooth_nr=0, smooth_dr=0, **SETTINGS)
    assert loss(SCORES, TRUE).item() == pytest.approx(1 - INDEX, abs=1e-5)


def test_the_slope_of_a_perfect_mask_is_a_number() -> None:
    scores = (50.0 * torch.cat([1 - TRUE, TRUE], 1)).requires_grad_()
    FocalTverskyLoss(**SETTINGS)(scores, TRUE).backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_an_exponent_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="exponent is 0; give more than 0"):
        FocalTverskyLoss(0)
