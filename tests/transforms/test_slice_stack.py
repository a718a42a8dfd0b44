# SPDX-License-Identifier: Apache-2.0
"""The slab of training is drawn by class, and keeps the label of its middle."""

import re
from collections import Counter

import pytest
import torch
from torch import Tensor

from medvol.transforms.slice_labels import slices_of_classes
from medvol.transforms.slice_stack import MiddleSliced, RandSliceStackd


def levels(depth: int = 4) -> Tensor:
    """(1, 2, 3, depth): every voxel of slice z is z."""
    return torch.arange(depth).float().expand(1, 2, 3, depth)


def labels() -> Tensor:
    """(1, 2, 3, 4): class 0 everywhere, one voxel of class 1 in slice 2, class 3 in 0 and 2."""
    label = torch.zeros(1, 2, 3, 4, dtype=torch.uint8)
    label[0, 1, 2, 2] = 1
    label[0, 0, 0, [0, 2]] = 3
    return label


def draw(ratios: list[float] | None, times: int = 400) -> Counter[int]:
    """How often each slice was the middle one."""
    table = slices_of_classes(labels(), 4)
    pick = RandSliceStackd(slices=3, ratios=ratios).set_random_state(0)
    data = {"image": levels(), "label": labels(), "label_slices": table}
    return Counter(int(pick(data)["image"][1, 0, 0]) for _ in range(times))


def test_a_slab_and_the_label_of_its_middle() -> None:
    data = {"image": levels(), "label": labels(), "label_slices": slices_of_classes(labels(), 4)}
    result = RandSliceStackd(slices=5, ratios=[0, 1, 0, 0])(data)
    assert set(result) == {"image", "label"}
    assert result["image"].shape == (5, 2, 3)
    assert result["image"][:, 0, 0].tolist() == [0, 1, 2, 3, 3]
    assert torch.equal(result["label"], labels()[..., 2])
    assert set(data) == {"image", "label", "label_slices"}


def test_a_label_of_all_slices_and_its_middle() -> None:
    data = {"image": levels(), "label": labels(), "label_slices": slices_of_classes(labels(), 4)}
    result = RandSliceStackd(slices=5, label_slices=3, ratios=[0, 1, 0, 0])(data)
    assert result["label"].dtype == torch.uint8
    assert torch.equal(result["label"], labels()[0, ..., [1, 2, 3]].movedim(-1, 0))
    middle = MiddleSliced("label")(result)
    assert torch.equal(middle["label"], labels()[..., 2])
    assert result["label"].shape == (3, 2, 3)
    with pytest.raises(ValueError, match="slices is 2; give an odd number"):
        MiddleSliced("label")({"label": torch.zeros(2, 3, 3)})


def test_five_slices_are_a_slab_and_the_third_is_its_middle() -> None:
    data = {"image": levels(), "label": labels(), "label_slices": slices_of_classes(labels(), 4)}
    slab = RandSliceStackd(label_slices=5, ratios=[0, 1, 0, 0])(data)
    assert slab["image"].shape == slab["label"].shape == (5, 2, 3)
    assert torch.equal(MiddleSliced("label")(slab)["label"], labels()[..., 2])


def test_classes_come_by_their_ratios_and_slices_alike_within_one() -> None:
    # class 2 is in no slice: 0 is drawn half the time (all four slices), 3 half (slices 0 and 2)
    counts = draw([1, 0, 5, 1])
    for middle, share in enumerate([3 / 8, 1 / 8, 3 / 8, 1 / 8]):
        assert counts[middle] == pytest.approx(400 * share, abs=40)  # 4 standard deviations


def test_without_ratios_all_classes_of_the_volume_come_alike() -> None:
    counts = draw(None)  # of 0, 1 and 3, a third each
    for middle, share in enumerate([3 / 12, 1 / 12, 7 / 12, 1 / 12]):
        assert counts[middle] == pytest.approx(400 * share, abs=40)


def test_a_volume_without_the_wanted_classes_gives_any_of_its_slices() -> None:
    assert set(draw([0, 0, 1, 0], times=60)) == {0, 1, 2, 3}


def test_a_seed_repeats_the_slabs() -> None:
    assert draw([1, 1, 1, 1], times=20) == draw([1, 1, 1, 1], times=20)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="slices is 2; give an odd number"):
        RandSliceStackd(slices=2)
    with pytest.raises(ValueError, match=re.escape("ratios is [0, 0]; give numbers of at least 0")):
        RandSliceStackd(ratios=[0, 0])
    with pytest.raises(ValueError, match="ratios has 2 values for 4 classes"):
        draw([1, 1])
