# SPDX-License-Identifier: Apache-2.0
"""Classes of slices, out of masks and out of their place."""

import pytest
import torch
from monai.data.meta_tensor import MetaTensor

from medvol.transforms.slice_class import SliceClassd, SlicePositiond, slice_class, slice_position

LABEL = torch.zeros(1, 3, 2, 4, dtype=torch.uint8)
LABEL[0, 1, 1, 1], LABEL[0, 0, 0, 3], LABEL[0, 2, 1, 3] = 1, 1, 2


def test_the_largest_label_of_each_slice() -> None:
    assert slice_class(LABEL).tolist() == [0, 1, 0, 2]
    assert slice_class(LABEL).dtype == torch.int64
    assert slice_class(LABEL[..., 1]).item() == 1


@pytest.mark.parametrize(
    ("depth", "classes", "expected"),
    [(4, 4, [0, 1, 2, 3]), (5, 2, [0, 0, 1, 1, 1]), (1, 8, [4]), (3, 6, [1, 3, 5])],
)
def test_parts_of_the_head(depth: int, classes: int, expected: list[int]) -> None:
    assert slice_position(depth, classes).tolist() == expected


def test_transforms_change_labels_only() -> None:
    data = {"image": torch.ones(1), "label": MetaTensor(LABEL, affine=2 * torch.eye(4))}
    assert SliceClassd("label")(data)["label"].tolist() == [0, 1, 0, 2]
    placed = SlicePositiond("label", classes=2)(data)["label"]
    assert placed.shape == LABEL.shape
    assert SliceClassd("label")({"label": placed})["label"].tolist() == [0, 0, 1, 1]
    assert torch.equal(placed.affine, data["label"].affine)
    assert torch.equal(data["label"].as_tensor(), LABEL)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="classes is 1; give 2 or more"):
        SlicePositiond("label", classes=1)
