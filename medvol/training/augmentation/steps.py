# SPDX-License-Identifier: Apache-2.0
"""What a random step does to the samples of a batch, drawn as the stock step draws it.

A faster step asks the stock one for its parameters, in its order and from its own random state,
and only computes with them itself. So for the same seed a sample is the one that the stock step
gives, but for rounding and for the values of noise, and the distribution of what a network sees is
that of the recipe.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

from monai.transforms.transform import apply_transform
from torch import Tensor

Sample = dict[Hashable, Any]  # its tensors are plain ones


class BatchStep(ABC):
    """A step of a training on the samples of a batch.

    Attributes:
        reads_maps: it cuts a patch out, so that whole volumes need not be read.

    Args:
        stock: the transform that it stands for; draws the parameters.
    """

    reads_maps: ClassVar[bool] = False

    def __init__(self, stock: Any) -> None:
        self.stock = stock

    @abstractmethod
    def on(self, sample: Sample) -> list[Sample]:
        """What becomes of a sample: one, or several patches of it."""

    def __call__(self, samples: list[Sample]) -> list[Sample]:
        """All samples of a batch, in their order."""
        return [made for sample in samples for made in self.on(sample)]


class StockStep(BatchStep):
    """A step that nothing stands for, as it is."""

    def on(self, sample: Sample) -> list[Sample]:
        made = apply_transform(self.stock, sample)
        return list(made) if isinstance(made, list) else [made]


class StockPatch(StockStep):
    """A step as it is, of which it is known that it reads no more than its patch."""

    reads_maps = True


class ValueStep(BatchStep):
    """A step that changes items one by one, with parameters that are drawn once for a sample."""

    def on(self, sample: Sample) -> list[Sample]:
        drawn = self.drawn(sample)
        if drawn is not None:
            for key in self.stock.key_iterator(sample):
                sample[key] = self._applied(sample[key], drawn)
        return [sample]

    def drawn(self, sample: Sample) -> Any:
        """The parameters for a sample; None where nothing is done to it."""
        self.stock.randomize(None)
        first = self.stock.first_key(sample)
        if not self.stock._do_transform or first == ():
            return None
        return self._parameters(sample[first])

    @abstractmethod
    def _parameters(self, first: Tensor) -> Any:
        """What is drawn once it is known that something is done.

        Args:
            first: the first of the items, (C, X, Y) or (C, X, Y, Z).
        """

    @abstractmethod
    def _applied(self, item: Tensor, drawn: Any) -> Tensor:
        """An item with the parameters applied, as a new tensor of its shape.

        Args:
            item: (C, X, Y) or (C, X, Y, Z).
            drawn: by `_parameters`.
        """
