# SPDX-License-Identifier: Apache-2.0
"""Classes, areas and places of slices, counted by hand."""

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from phantoms import tiny_chest

from medvol.transforms.slice_labels import (
    SliceAread,
    SliceClassd,
    SliceClassesd,
    SlicePositiond,
    SlicesOfClassesd,
    slice_area_mm2,
    slice_class,
    slice_classes,
    slice_position,
    slices_of_classes,
)

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
    assert placed.dtype == torch.uint8
    assert SliceClassd("label")({"label": placed})["label"].tolist() == [0, 0, 1, 1]
    assert torch.equal(placed.affine, data["label"].affine)
    assert torch.equal(data["label"].as_tensor(), LABEL)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="classes is 1; give 2 or more"):
        SlicePositiond("label", classes=1)


CHEST = tiny_chest()
AREA_MM2 = [0.0] * 5 + [64.0, 64 + 64.0, 64 + 64.0, 64.0] + [0.0] * 7  # 16 pixels of 2 x 2 mm each


def label() -> MetaTensor:
    volume = torch.from_numpy(CHEST.labels)[None]
    return MetaTensor(volume, affine=torch.from_numpy(CHEST.affine))


def test_area_of_the_lesions_of_the_chest() -> None:
    assert slice_area_mm2(label().as_tensor(), [1, 2], 4.0).tolist() == AREA_MM2
    assert slice_area_mm2(label().as_tensor(), [2], 4.0).tolist()[5:9] == [0, 64, 64, 0]
    area = SliceAread("label", [1, 2])({"label": label(), "case": "a"})["label"]
    assert area.tolist() == AREA_MM2
    assert not isinstance(area, MetaTensor)


def test_a_slice_with_a_little_lesion_is_neither() -> None:
    area = torch.tensor([0.0, 49.9, 50.0, 300.0])
    assert slice_classes(area, 50.0).int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 1]]


def test_a_lesion_counts_from_50_mm2_on_unless_another_area_is_given() -> None:
    area = torch.tensor([49.9, 50.0])
    assert slice_classes(area).tolist() == [[False, False], [False, True]]


def test_the_table_to_draw_from() -> None:
    data = SliceClassesd("label", [1, 2], smallest_mm2=100.0)({"label": label()})
    table = data["label_slices"]
    assert table[1].nonzero().flatten().tolist() == [6, 7]
    assert table[0].nonzero().flatten().tolist() == [z for z in range(16) if not 5 <= z <= 8]
    assert torch.equal(data["label"], label())


def test_an_area_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="smallest_mm2 is 0; give more than 0"):
        SliceClassesd("label", [1], smallest_mm2=0)


def test_less_than_a_square_millimetre_may_count() -> None:
    small = MetaTensor(LABEL, affine=torch.diag(torch.tensor([0.5, 1.0, 1.0, 1.0])))
    table = SliceClassesd("label", [1], smallest_mm2=0.5)({"label": small})["label_slices"]
    assert table.tolist() == [[True, False, True, False], [False, True, False, True]]


def test_which_slices_hold_which_class() -> None:
    expected = [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert slices_of_classes(LABEL, 3).int().tolist() == expected
    result = SlicesOfClassesd("label", classes=3)({"label": LABEL})
    assert result["label_slices"].int().tolist() == expected
    assert result["label"] is LABEL
