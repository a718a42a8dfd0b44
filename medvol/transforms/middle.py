# SPDX-License-Identifier: Apache-2.0
"""The middle of a chest radiograph, where lungs lie: greys by it alone, and nothing beside it.

The middle is the same part of every picture, see `surroundings`: one that followed the lungs would
give away their shape. Black edges and letters burnt in lie mostly beside it.
"""

from collections.abc import Callable
from math import sqrt

import torch
from monai.config import KeysCollection
from torch import Tensor

from .keys import ItemTransform
from .surroundings import FIELDS, LUNG_COLUMNS, LUNG_ROWS

LIMIT = 4.0  # standard deviations; beyond it are letters and metal


def middle(picture: Tensor) -> Tensor:
    """The middle of a picture (C, rows, columns), a view.

    Example:
        >>> middle(torch.zeros(1, 32, 16)).shape
        torch.Size([1, 24, 14])
    """
    _, rows, columns = picture.shape
    (top, bottom), (left, right) = (
        (side * part.start // FIELDS, side * part.stop // FIELDS)
        for side, part in ((rows, LUNG_ROWS), (columns, LUNG_COLUMNS))
    )
    return picture[:, top:bottom, left:right]


def by_middle(picture: Tensor) -> Tensor:
    """Greys so that the middle has mean 0 and standard deviation 1, cut at 4 deviations.

    Args:
        picture: (C, rows, columns), float.

    Returns:
        The same shape. A middle of one grey gives 0 there, and the limits elsewhere.
    """
    inside = middle(picture)
    deviation = inside.std(correction=0).clamp_min(torch.finfo(picture.dtype).eps)
    return ((picture - inside.mean()) / deviation).clamp(-LIMIT, LIMIT)


def by_ranks(picture: Tensor) -> Tensor:
    """Greys by their place among those of the middle: a histogram equalisation by it alone.

    Another window, gamma or any other growing grey scale gives the same picture, where it leaves
    different greys different.

    Args:
        picture: (C, rows, columns), float.

    Returns:
        The same shape, between -1.73 and 1.73; the middle has mean 0, and standard deviation 1
        where no two greys are equal, but for how many there are.

    Example:
        >>> ramp = torch.linspace(0, 1, 256).reshape(1, 16, 16)
        >>> torch.equal(by_ranks(ramp), by_ranks(ramp**2))
        True
    """
    known = middle(picture).flatten().sort().values
    wanted = picture.contiguous()
    below = torch.searchsorted(known, wanted)
    place = (below + torch.searchsorted(known, wanted, right=True)) / (2 * len(known))
    return (place - 0.5) * sqrt(12)


BY = {"middle": by_middle, "ranks": by_ranks}


class NormaliseByMiddled(ItemTransform):
    """Dictionary transform around `by_middle` and `by_ranks`.

    Args:
        keys: items (C, rows, columns), float.
        how: "middle" or "ranks".

    Raises:
        ValueError: another way.
    """

    def __init__(self, keys: KeysCollection, how: str = "middle") -> None:
        super().__init__(keys)
        if how not in BY:
            raise ValueError(f"how is {how!r}; give one of {', '.join(BY)}")
        self.how: Callable[[Tensor], Tensor] = BY[how]

    def change(self, item: Tensor, *_: object) -> Tensor:
        return self.how(item)


class OnlyMiddled(ItemTransform):
    """Put 0, the mean grey, in place of what lies beside the middle.

    Args:
        keys: items (C, rows, columns), normalised.
    """

    def change(self, item: Tensor, *_: object) -> Tensor:
        kept = torch.zeros_like(item)
        middle(kept).copy_(middle(item))
        return kept
