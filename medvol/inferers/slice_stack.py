# SPDX-License-Identifier: Apache-2.0
"""A 2D network over a volume, slice by slice, each seen with its neighbours (2.5D)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor
from tqdm import tqdm

from ..slices import check_slices, read_slices, stack_slices
from ..transforms.keys import placed, plain
from .sliding_window import OtherOutput


class SliceStackInferer(Inferer):
    """Run a 2D network over slabs of neighbouring slices; it answers for the middle slice.

    The ends of the volume are repeated, so every slice has a slab. Slabs are made from a buffer
    that rolls along z: each slice is read once, and there is never more than a batch of slabs.
    `sw_batch_size`, `device` and `progress` mean what they mean to MONAI's `SlidingWindowInferer`.

    Args:
        slices: of a slab, odd; the channels that the network takes, over those of the volume.
        sw_batch_size: slabs that go through the network at once.
        device: where the answers are gathered; None for the volume's own.
        progress: show a bar over the batches of each volume.

    Raises:
        ValueError: no middle slice, a batch below 1.

    Example:
        >>> inferer = SliceStackInferer(slices=3)
        >>> middle = lambda slabs: slabs[:, 1:2]
        >>> inferer(torch.zeros(1, 1, 4, 5, 6), middle).shape
        torch.Size([1, 1, 4, 5, 6])
    """

    def __init__(
        self,
        slices: int = 5,
        sw_batch_size: int = 8,
        *,
        device: torch.device | str | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if sw_batch_size < 1:
            raise ValueError(f"sw_batch_size is {sw_batch_size}; give 1 or more")
        self.slices = check_slices(slices)
        self.sw_batch_size = sw_batch_size
        self.device = device
        self.progress = progress

    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        slice_range: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Scores of every slice, or of those in a range.

        Args:
            inputs: (B, C, X, Y, Z).
            network: (n, C * slices, X, Y) to (n, classes, X, Y), or to (n, classes).
            args: further arguments of the network.
            slice_range: (start, stop) along z; slabs reach beyond it to their true neighbours.
            kwargs: further arguments of the network.

        Returns:
            (B, classes, X, Y, Z), or (B, classes, Z); Z is stop - start where a range is given.
            A MetaTensor where the volume is one and the grid is the same.

        Raises:
            ValueError: the range is empty or reaches out of the volume.
        """
        depth = inputs.shape[-1]
        start, stop = slice_range or (0, depth)
        if not 0 <= start < stop <= depth:
            raise ValueError(f"slice_range is {slice_range}; give a range in 0 to {depth}")
        volumes = plain(inputs)
        predict = partial(network, *args, **kwargs)
        scores = torch.empty(0)
        for item, volume in enumerate(volumes):
            for first, answer in self.parts(volume, predict, start, stop):
                if scores.numel() == 0:
                    shape = (len(volumes), *answer.shape[:-1], stop - start)
                    scores = answer.new_zeros(shape, device=self.device)
                at = first - start
                scores[item, ..., at : at + answer.shape[-1]] = answer
        return placed(scores, inputs) if scores.shape[2:] == inputs.shape[2:] else scores

    def parts(
        self, volume: Tensor, network: Callable[..., Tensor], start: int, stop: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Scores of one batch of slices after the other, nothing of which is kept here.

        Args:
            volume: (C, X, Y, Z), without metadata.
            network: as for a call.
            start, stop: slices along z.

        Returns:
            The first slice of each batch, and (classes, X, Y, n) or (classes, n).
        """
        batches, quiet = -(-(stop - start) // self.sw_batch_size), not self.progress
        for first, slabs in tqdm(self._slabs(volume, start, stop), total=batches, disable=quiet):
            yield first, network(slabs).movedim(0, -1)

    def planes(self, volume: Tensor, network: Callable[..., Tensor]) -> Iterator[Tensor]:
        """All planes at once, see `FastSlidingWindowInferer.planes`: slices go across them.

        Args:
            volume: (1, C, X, Y, Z), without metadata.
            network: as for a call.

        Raises:
            OtherOutput: the network gave something else than scores of pixels.
        """
        scores = self(volume, network)
        if scores.shape[2:] != volume.shape[2:]:
            raise OtherOutput
        yield scores[0]

    def _slabs(self, volume: Tensor, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """First slice and slabs (n, C * slices, X, Y) of each batch."""
        reach = self.slices // 2
        kept = read_slices(volume, start - reach, start + reach)
        for first in range(start, stop, self.sw_batch_size):
            last = min(first + self.sw_batch_size, stop)
            buffer = torch.cat([kept, read_slices(volume, first + reach, last + reach)])
            yield first, stack_slices(buffer, self.slices)
            kept = buffer[len(buffer) - 2 * reach :]
