# SPDX-License-Identifier: Apache-2.0
"""Losses by worked-out values, and weights of classes."""

import math
import re

import pytest
import torch
from monai.losses import DiceCELoss
from torch import Tensor

from medvol.training.losses import (
    DeepSupervision,
    FocalTverskyLoss,
    PartialDiceCELoss,
    class_weights,
)

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


UNLABELLED = 4  # one of 0 and 3


def scores_of(*voxels: list[float]) -> Tensor:
    """Probabilities of four classes per voxel to scores (1, 4, voxels, 1)."""
    return torch.tensor(voxels).T.log()[None, :, :, None]


def labels(*values: int) -> Tensor:
    return torch.tensor(values).reshape(1, 1, -1, 1)


def loss_of(*regions: list[int]) -> PartialDiceCELoss:
    return PartialDiceCELoss(regions, merged=[0, 3], unlabelled=UNLABELLED)


def dice_loss(both: float, share: float, true: float) -> float:
    """1 - Dice with one voxel added above and below the line."""
    return 1 - (2 * both + 1) / (share + true + 1)


def test_equals_monai_where_every_voxel_has_a_class() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = 3 * torch.randn(2, 4, 5, 6, generator=generator)
    label = torch.randint(0, 4, (2, 1, 5, 6), generator=generator)
    monai = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1.0,
        smooth_dr=1.0,
    )  # fmt: skip
    for given in (label, label.float()):
        torch.testing.assert_close(loss_of([1], [2], [3])(scores, given), monai(scores, given))


def test_merged_classes_add_their_probabilities_and_lesions_have_known_dice() -> None:
    scores = scores_of([0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1])
    entropy = -(math.log(0.1 + 0.4) + math.log(0.1)) / 2
    # the first voxel is certainly not of class 1, so its 0.2 counts against it
    dice = dice_loss(0.1, 0.2 + 0.1, 1)
    assert float(loss_of([1])(scores, labels(UNLABELLED, 1))) == pytest.approx(entropy + dice)


def test_dice_of_a_region_leaves_out_voxels_that_may_belong_to_it() -> None:
    scores = scores_of([0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.1, 0.6])
    entropy = -(math.log(0.5) + math.log(0.6)) / 2
    lung = dice_loss(0.6, 0.6, 1)  # the second voxel alone
    assert float(loss_of([3])(scores, labels(UNLABELLED, 3))) == pytest.approx(entropy + lung)
    # so does a union that holds one of the merged classes
    whole_lung = dice_loss(0.8, 0.8, 1)
    loss = loss_of([1, 2, 3])(scores, labels(UNLABELLED, 3))
    assert float(loss) == pytest.approx(entropy + whole_lung)


def test_a_region_of_all_merged_classes_is_known() -> None:
    scores = scores_of([0.1, 0.2, 0.3, 0.4], [0.2, 0.6, 0.1, 0.1])
    entropy = -(math.log(0.5) + math.log(0.6)) / 2
    rest = dice_loss(0.5, 0.5 + 0.3, 1)
    assert float(loss_of([0, 3])(scores, labels(UNLABELLED, 1))) == pytest.approx(entropy + rest)


def test_regions_count_alike_and_may_overlap() -> None:
    scores = scores_of([0.2, 0.6, 0.1, 0.1], [0.1, 0.3, 0.4, 0.2])
    entropy = -(math.log(0.6) + math.log(0.4)) / 2
    first, both = dice_loss(0.6, 0.9, 1), dice_loss(0.7 + 0.7, 1.4, 2)
    loss = loss_of([1], [1, 2])(scores, labels(1, 2))
    assert float(loss) == pytest.approx(entropy + (first + both) / 2)


def test_gradient_does_not_tell_merged_classes_apart() -> None:
    scores = torch.zeros(1, 4, 3, 3, requires_grad=True)
    loss_of([1], [2], [3])(scores, torch.full((1, 1, 3, 3), UNLABELLED)).backward()
    assert scores.grad is not None
    assert torch.equal(scores.grad[:, 0], scores.grad[:, 3])
    assert (scores.grad[:, 0] < 0).all()
    assert (scores.grad[:, 1] > 0).all()


def test_only_unlabelled_voxels_say_nothing_of_the_lung() -> None:
    scores = scores_of([0.5, 0.0, 0.0, 0.5])
    assert float(loss_of([3])(scores, labels(UNLABELLED))) == pytest.approx(0, abs=1e-6)


def test_certain_scores_give_finite_gradients() -> None:
    scores = (200 * torch.eye(4)).reshape(1, 4, 4, 1).requires_grad_()
    loss = loss_of([1], [2], [3])(scores, labels(1, UNLABELLED, UNLABELLED, 1))
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert loss.item() > 100  # all but nothing is right


@pytest.mark.parametrize("regions", [[], [[1], []]])
def test_a_region_without_classes_is_refused(regions: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"regions is {regions}; give the classes of")):
        PartialDiceCELoss(regions, merged=[0, 3], unlabelled=UNLABELLED)


ITEMS = [{"label": label} for label in [0] * 6 + [1] * 3 + [2]]


def test_balanced_is_n_over_k_times_n_c() -> None:
    weights = class_weights(ITEMS, 3)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])


def test_every_class_then_counts_the_same() -> None:
    weights = class_weights(ITEMS, ("a", "b", "c")).tolist()
    assert [6 * weights[0], 3 * weights[1], weights[2]] == pytest.approx([10 / 3] * 3)


def test_root_is_half_way_and_keeps_the_mean() -> None:
    weights = class_weights([{"label": 0}] * 4 + [{"label": 1}], 2, scheme="root").tolist()
    assert weights[1] / weights[0] == pytest.approx(2)  # the root of 4 : 1
    assert (4 * weights[0] + weights[1]) / 5 == pytest.approx(1)


def test_none_weighs_nothing() -> None:
    assert class_weights(ITEMS, 3, scheme="none").tolist() == [1, 1, 1]


def test_a_class_without_items_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no item is of class viral;"):
        class_weights(ITEMS, ("a", "b", "c", "viral"))
    with pytest.raises(ValueError, match="no item is of class 0, 1"):
        class_weights([], 2)


def test_other_labels_and_schemes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels \[2\]; give labels from 0 to 1"):
        class_weights(ITEMS, 2)
    with pytest.raises(ValueError, match="'balance'; give one of none, root, balanced"):
        class_weights(ITEMS, 3, scheme="balance")


def test_levels_weigh_half_of_the_one_above_and_equal_ones_as_one() -> None:
    """Mean errors of 3, 6 and 1 with 4/7, 2/7 and 1/7: 25/7."""
    levels = torch.tensor([3.0, 6.0, 1.0]).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    labels = torch.zeros(2, 4, 5)
    assert float(DeepSupervision(torch.nn.L1Loss(), levels=2)(levels, labels)) == pytest.approx(
        25 / 7
    )
    loss = PartialDiceCELoss([[1]], merged=[0, 2], unlabelled=3)
    scores, classes = torch.randn(2, 3, 4, 5), torch.randint(0, 4, (2, 1, 4, 5))
    alone = float(loss(scores, classes))
    assert float(DeepSupervision(loss, levels=0)(scores, classes)) == alone
    stacked = torch.stack([scores] * 3, 1)
    assert float(DeepSupervision(loss, levels=2)(stacked, classes)) == pytest.approx(alone)
