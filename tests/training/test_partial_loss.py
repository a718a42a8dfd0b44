# SPDX-License-Identifier: Apache-2.0
"""The loss of partly labelled data: by hand, and MONAI's own where every voxel has a class."""

import math
import re

import pytest
import torch
from monai.losses import DiceCELoss
from torch import Tensor

from medvol.training.partial_loss import PartialDiceCELoss

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
