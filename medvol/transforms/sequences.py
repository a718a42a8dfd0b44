# SPDX-License-Identifier: Apache-2.0
"""How MR sequences differ from one examination to the next: brightness, contrast, and one missing.

The channels of an item are sequences, or those of a slab: the slices of the first sequence, then
those of the others. What is drawn for a sequence holds for all its slices.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform, RandomizableTransform
from torch import Tensor

from .keys import placed, plain

SMALLEST_EXTENT = 1e-7  # between a sequence's lowest and highest value, where all are the same


class RandSequences(RandomizableTransform, MapTransform):
    """What the transforms of sequences share: channels in groups, one a sequence.

    Args:
        keys: items (sequences * slices, X, Y) or (sequences * slices, X, Y, Z).
        sequences: how many the channels are of.
        prob: how often, a probability.

    Raises:
        ValueError: no sequence; when called, channels that are not a multiple of them.
    """

    def __init__(self, keys: KeysCollection, sequences: int, prob: float) -> None:
        RandomizableTransform.__init__(self, prob)
        MapTransform.__init__(self, keys)
        if sequences < 1:
            raise ValueError(f"sequences is {sequences}; give 1 or more")
        self.sequences = sequences

    @abstractmethod
    def change(self, item: Tensor) -> Tensor:
        """What becomes of an item (sequences, slices, ...), by what was drawn."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        self.randomize(None)
        for key in self.key_iterator(result):
            item = plain(result[key])
            if len(item) % self.sequences:
                raise ValueError(f"{key} has {len(item)} channels, not those of "
                                 f"{self.sequences} sequences")  # fmt: skip
            changed = self.change(item.unflatten(0, (self.sequences, -1)))
            result[key] = placed(changed.flatten(0, 1), result[key])
        return result


class RandSequenceIntensityd(RandSequences):
    """Contrast and brightness of each sequence for itself.

    Gamma comes first, between the sequence's lowest value and its highest, which it keeps; then the
    factor, then the offset. Each of the three is drawn for all sequences, or left out.

    Args:
        keys, sequences: as for `RandSequences`.
        prob: of gamma, factor and offset, each by itself, a probability.
        factor: (low, high); 1 changes nothing.
        offset: (low, high), in units of the item; 0 changes nothing.
        gamma: (low, high), above 0; 1 changes nothing.

    Raises:
        ValueError: no sequence, a gamma that is not above 0.
    """

    def __init__(
        self,
        keys: KeysCollection,
        sequences: int = 3,
        prob: float = 0.5,
        *,
        factor: Sequence[float] = (0.75, 1.25),
        offset: Sequence[float] = (-0.3, 0.3),
        gamma: Sequence[float] = (0.7, 1.4),
    ) -> None:
        super().__init__(keys, sequences, prob)
        if not min(gamma) > 0:
            raise ValueError(f"gamma is {gamma}; give a range (low, high) above 0")
        self.ranges = (gamma, factor, offset)
        self.drawn: list[Tensor | None] = []

    def randomize(self, data: Any) -> None:  # noqa: ARG002
        """Draw gamma, factor and offset, (sequences,) each; None for what is left out."""
        self.drawn = []
        for low, high in self.ranges:
            values = self.R.uniform(low, high, self.sequences)
            drawn = bool(self.R.rand() < self.prob)
            self.drawn.append(torch.tensor(values, dtype=torch.float32) if drawn else None)

    def change(self, item: Tensor) -> Tensor:
        gamma, factor, offset = self.drawn
        if gamma is not None:
            low, high = (f(item, (*range(1, item.ndim),), True) for f in (torch.amin, torch.amax))
            extent = (high - low).clamp(min=SMALLEST_EXTENT)
            item = ((item - low) / extent) ** _beside(gamma, item) * extent + low
        if factor is not None:
            item = item * _beside(factor, item)
        return item if offset is None else item + _beside(offset, item)


def _beside(drawn: Tensor, item: Tensor) -> Tensor:
    """One value a sequence, to be broadcast over an item (sequences, slices, ...)."""
    return drawn.view(-1, *[1] * (item.ndim - 1))


class RandMissingSequenced(RandSequences):
    """A sequence that was not taken: another stands in its place, as data sets and readers have it.

    Args:
        keys, sequences: as for `RandSequences`.
        prob: of each sequence that may be missing, by itself, a probability.
        may_lack: numbers of these sequences.
        instead: number of the one that takes their place.

    Raises:
        ValueError: no sequence, or a number that is not of one.
    """

    def __init__(
        self,
        keys: KeysCollection,
        sequences: int = 3,
        prob: float = 0.1,
        *,
        may_lack: Sequence[int] = (0, 2),
        instead: int = 1,
    ) -> None:
        super().__init__(keys, sequences, prob)
        if not all(0 <= number < sequences for number in (*may_lack, instead)):
            raise ValueError(f"may_lack is {may_lack} and instead {instead}; "
                             f"give numbers from 0 to {sequences - 1}")  # fmt: skip
        self.may_lack, self.instead = list(may_lack), instead
        self.order = list(range(sequences))

    def randomize(self, data: Any) -> None:  # noqa: ARG002
        """Draw which are missing."""
        self.order = list(range(self.sequences))
        for number in self.may_lack:
            if self.R.rand() < self.prob:
                self.order[number] = self.instead

    def change(self, item: Tensor) -> Tensor:
        return item[self.order]
