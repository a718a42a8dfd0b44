# SPDX-License-Identifier: Apache-2.0
"""Area of lesion in each slice, counted by hand, and the classes that follow."""

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from phantoms import tiny_chest

from medvol.transforms.slice_area import SliceAread, SliceClassesd, slice_area_mm2, slice_classes

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


def test_the_table_to_draw_from() -> None:
    data = SliceClassesd("label", [1, 2], smallest_mm2=100.0)({"label": label()})
    table = data["label_slices"]
    assert table[1].nonzero().flatten().tolist() == [6, 7]
    assert table[0].nonzero().flatten().tolist() == [z for z in range(16) if not 5 <= z <= 8]
    assert torch.equal(data["label"], label())


def test_an_area_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="smallest_mm2 is 0; give more than 0"):
        SliceClassesd("label", [1], smallest_mm2=0)
