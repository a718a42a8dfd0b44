# SPDX-License-Identifier: Apache-2.0
"""Fields of a picture: which are looked at, and what is told of them."""

import numpy as np
import torch

from medvol.transforms.surroundings import REGIONS, regions, surroundings


def test_regions() -> None:
    assert [*regions()] == [*REGIONS] == ["border", "without the lungs"]
    border, outside = regions().values()
    assert border.dtype == outside.dtype == bool
    assert (border.sum(), outside.sum()) == (16 * 16 - 14 * 14, 16 * 16 - 12 * 14)
    assert (outside | border).tolist() == outside.tolist()  # the border is part of it
    assert not outside[8, 8]
    assert outside[1, 8]


def test_mean_and_deviation_of_fields() -> None:
    picture = torch.zeros(1, 128, 128)
    picture[0, :4, :8] = 1.0  # half of the first field
    border = surroundings(picture)["border"]
    assert border.shape == (120,)
    assert border[0] == 0.5
    assert border[60] == 0.5
    assert not border[1:60].any()
    assert not border[61:].any()


def test_what_happens_in_the_lungs_changes_nothing() -> None:
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 128, 128, generator=random)
    other = picture.clone()
    other[0, 16:112, 8:120] = 1.0
    before, after = surroundings(picture), surroundings(other)
    assert all(np.array_equal(before[name], after[name]) for name in REGIONS)
    other[0, 15, 60] = 0.0
    assert not np.array_equal(before["without the lungs"], surroundings(other)["without the lungs"])


def test_size_and_shape_of_the_picture_do_not_matter() -> None:
    squeezed = surroundings(torch.linspace(0, 1, 300)[None, :, None].expand(1, 300, 50))
    assert squeezed["border"].shape == (120,)
    assert abs(squeezed["border"][:16].mean() - 1 / 32) < 0.01  # the uppermost sixteenth
