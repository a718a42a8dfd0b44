# SPDX-License-Identifier: Apache-2.0
"""The middle of a radiograph: what lies beside it changes nothing, and a grey scale neither."""

import pytest
import torch

from medvol.transforms.middle import (
    NormaliseByMiddled,
    OnlyMiddled,
    by_middle,
    by_ranks,
    middle,
)


def picture() -> torch.Tensor:
    return torch.rand(1, 64, 48, generator=torch.Generator().manual_seed(0))


def test_the_middle_is_where_lungs_lie() -> None:
    inside = torch.zeros(1, 64, 48)
    middle(inside)[:] = 1
    rows, columns = inside[0].any(1).nonzero().flatten(), inside[0].any(0).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (8, 55)  # 2 and 14 sixteenths of 64
    assert (int(columns[0]), int(columns[-1])) == (3, 44)  # 1 and 15 sixteenths of 48


def test_greys_are_those_of_the_middle() -> None:
    given = picture()
    made = by_middle(given)
    inside = middle(given)
    expected = (inside - inside.mean()) / inside.std(correction=0)
    torch.testing.assert_close(middle(made), expected)


@pytest.mark.parametrize("normalise", [by_middle, by_ranks])
def test_a_letter_on_the_border_changes_nothing_inside(normalise) -> None:
    given = picture()
    lettered = given.clone()
    lettered[:, :6] = 100.0
    assert torch.equal(middle(normalise(given)), middle(normalise(lettered)))
    assert normalise(lettered)[0, 0, 0] == (4.0 if normalise is by_middle else 3**0.5)


def test_ranks_by_hand() -> None:
    """16 x 16: the middle has 12 x 14 pixels, here 1 to 168; below them 0, above them 999."""
    given = torch.zeros(1, 16, 16)
    middle(given)[:] = torch.arange(1.0, 169).reshape(12, 14)
    given[0, 0, 0] = 999.0
    made = by_ranks(given) / 12**0.5 + 0.5
    torch.testing.assert_close(middle(made).flatten(), (torch.arange(168) + 0.5) / 168)
    assert (float(made[0, 0, 0]), float(made[0, 0, 1])) == (1.0, 0.0)


def test_another_grey_scale_gives_the_same_ranks() -> None:
    given = picture()
    torch.testing.assert_close(by_ranks(given), by_ranks((3 * given).exp() + 7))


def test_a_middle_of_one_grey_is_no_division_by_zero() -> None:
    flat = torch.full((1, 16, 16), 0.5)
    flat[0, 0, 0] = 1.0
    made = by_middle(flat)
    assert (float(made[0, 8, 8]), float(made[0, 0, 0])) == (0.0, 4.0)
    assert float(by_ranks(flat)[0, 8, 8]) == 0.0


def test_only_the_middle_is_left() -> None:
    given = picture() + 1
    made = OnlyMiddled("image")({"image": given})["image"]
    assert torch.equal(middle(made), middle(given))
    assert float(made.sum()) == float(middle(given).sum())


def test_another_way_is_refused() -> None:
    with pytest.raises(ValueError, match="how is 'edge'; give one of middle, ranks"):
        NormaliseByMiddled("image", "edge")
