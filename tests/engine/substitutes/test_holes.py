# SPDX-License-Identifier: Apache-2.0
"""Holes are those of MONAI, whatever its neighbours, labels and channels."""

from typing import Any

import pytest
import torch
from monai.transforms import FillHolesd

from medvol.engine.substitutes.holes import filled_holes

# a hole in 1; one of 2 that a corner opens; a 3 within 1; a gap at the border
LABELS = torch.tensor(
    [
        [1, 1, 1, 0, 2, 2, 0],
        [1, 0, 1, 2, 0, 2, 0],
        [1, 3, 1, 2, 2, 2, 0],
        [1, 1, 1, 0, 0, 0, 1],
    ]
)[None]


@pytest.mark.parametrize("connectivity", [None, 1, 2])
def test_what_a_label_encloses_is_filled(connectivity: int | None) -> None:
    stock = FillHolesd("pred", connectivity=connectivity)
    found = filled_holes([stock])
    assert found is not None
    own = found.step({"pred": LABELS})["pred"]
    assert own[0, :, :3].eq(1).all()  # the 3 too
    assert own[0, 1, 4] == (2 if connectivity == 1 else 0)
    assert torch.equal(own, stock({"pred": LABELS.clone()})["pred"])
    assert LABELS[0, 1, 1] == 0  # what was given stays


@pytest.mark.parametrize("connectivity", [None, 1, 2, 3])
@pytest.mark.parametrize("arguments", [{}, {"applied_labels": [2]}, {"applied_labels": [2, 1]}])
@pytest.mark.parametrize("channels", [1, 3])
def test_volumes_are_filled_as_monai_fills_them(
    connectivity: int | None, arguments: dict[str, Any], channels: int
) -> None:
    generator = torch.Generator().manual_seed(4)
    smooth = torch.nn.functional.avg_pool3d(
        torch.rand(channels, 15, 12, 9, generator=generator), 3, 1, 1
    )
    given = (smooth * 2.9).round() if channels == 1 else (smooth > 0.42).float()
    stock = FillHolesd("pred", connectivity=connectivity, **arguments)
    found = filled_holes([stock])
    assert found is not None
    own = found.step({"pred": given})["pred"]
    assert torch.equal(own, stock({"pred": given.clone()})["pred"])
    if connectivity == 1:
        assert not torch.equal(own, given)
