# SPDX-License-Identifier: Apache-2.0
"""How sure a network is of what it marks: a note where many of the scores are near the middle."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..errors import Note
from .decide import best_of
from .keys import noted, plain

UNDECIDED = (0.35, 0.65)  # scores that speak neither for nor against
SHARE = "undecided_share"  # item of the data: of what is marked, 0 to 1


class NoteUndecidedd(MapTransform):
    """Note (N_UNDECIDED) where the scores of what is marked are undecided.

    The score of a voxel is the sum of the probabilities of the focus labels: it does not matter
    which of them a lesion is. The share becomes an item of the data, `SHARE`, of several keys the
    largest; nothing else is changed, and nothing is noted where nothing is marked.

    Args:
        keys: items with probabilities (C, *spatial).
        focus: labels of what is looked for, such as those of lesions.
        limit: share of the marked voxels with a score in `UNDECIDED`, 0 to 1, above which it is
            noted.
        name: what the focus labels are together, such as "lesion".

    Raises:
        ValueError: no label, or a limit out of range.
    """

    def __init__(
        self, keys: KeysCollection, focus: Sequence[int], *, limit: float, name: str = "lesion"
    ) -> None:
        super().__init__(keys)
        if not focus:
            raise ValueError("focus names no label; give those of what is looked for")
        if not 0 <= limit < 1:
            raise ValueError(f"limit is {limit:g}; give a share of 0 to below 1")
        self.focus, self.limit, self.name = list(focus), limit, name

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        shares = [undecided_share(plain(data[key]), self.focus) for key in self.key_iterator(data)]
        low, high = UNDECIDED
        notes = [
            Note(
                "N_UNDECIDED",
                f"the network is not sure: {100 * share:.0f} % of what it marks as {self.name} has "
                f"a score between {low:g} and {high:g} (more than {100 * self.limit:.0f} %).",
            )
            for share in shares
            if share > self.limit
        ]
        return noted({**data, SHARE: max(shares, default=0.0)}, *notes)


def undecided_share(scores: Tensor, focus: Sequence[int]) -> float:
    """Share of the voxels marked as one of the focus labels whose score is undecided.

    Args:
        scores: probabilities (C, *spatial), 0 to 1.
        focus: labels that are looked for.

    Returns:
        0 to 1; 0 where nothing is marked.

    Example:
        >>> scores = torch.tensor([[0.9, 0.4, 0.1], [0.1, 0.6, 0.9]])
        >>> undecided_share(scores, [1])
        0.5
    """
    chosen = torch.as_tensor(list(focus), device=scores.device)
    marked = torch.isin(best_of(scores, range(len(scores)))[0], chosen)
    if not marked.any():
        return 0.0
    score = torch.stack([scores[label][marked] for label in focus]).sum(0)
    low, high = UNDECIDED
    return float(((score >= low) & (score <= high)).float().mean())
