# SPDX-License-Identifier: Apache-2.0
"""One batch on several processes: who takes which of its items, and the loss of all of them.

So `batch_size` means the same on one process (a rank) and on many: the batch of one step.
"""

from collections.abc import Iterator, Sized
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.utils.data import Sampler

from ..errors import InputError


def share(batch_size: int, ranks: int) -> int:
    """Items of a batch for each of several processes.

    Args:
        batch_size: items of a step, 1 or more.
        ranks: processes, 1 or more.

    Raises:
        InputError: E_BUNDLE, they cannot be shared out evenly.

    Example:
        >>> share(8, 2)
        4
    """
    if batch_size % ranks:
        raise InputError(
            "E_BUNDLE", "--batch_size", f"{ranks} processes cannot share a batch of {batch_size}.",
            f"Give a multiple of {ranks}, or another number of processes.",
        )  # fmt: skip
    return batch_size // ranks


class RankSampler(Sampler[int]):
    """This process's part of each batch of a training, in an order that all processes share.

    Batch for batch they take together what a loader on one process takes, with torch's
    `RandomSampler` and the same generator. A last batch that is not whole is left out; it is the
    only one where there are fewer items than a batch has. `EpochSeed` sets the generator.

    Args:
        dataset: what is drawn from.
        batch_size: items of a step, all processes together.

    Attributes:
        per_rank: items of a step that are this process's.
        generator: of the order; torch's own without one.

    Raises:
        InputError: E_BUNDLE, as for `share`.
    """

    def __init__(self, dataset: Sized, batch_size: int) -> None:
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.items = len(dataset)
        self.per_rank = share(batch_size, self.ranks)
        self.own = share(min(batch_size, self.items), self.ranks)
        self.generator: torch.Generator | None = None

    def __len__(self) -> int:
        step = self.own * self.ranks
        return self.items // step * self.own if step else 0

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(self.items, generator=self.generator)
        batches = order[: len(self) * self.ranks].reshape(-1, self.ranks, max(1, self.own))
        yield from batches[:, self.rank].flatten().tolist()


class WholeBatchLoss(nn.Module):
    """A loss of the batch of all processes, on each of them.

    A loss that is no mean over the items, as Dice over a batch or one with weights of classes, is
    then that of one process with the same batch. Slopes are such that their mean over the
    processes, which `DistributedDataParallel` takes, is the slope of that loss.

    Args:
        loss: of scores and targets whose first axis is the batch.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss, a scalar (), the same on all processes.

        Args:
            scores: (B, ...) of this process.
            targets: (B, ...) of this process.
        """
        whole = _Gather.apply(scores.as_subclass(Tensor))
        loss: Tensor = self.loss(whole, _gathered(targets.as_subclass(Tensor)))
        return loss


class _Gather(Function):
    """The scores of all processes; back goes the slope of the own ones, times their number."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        ctx.items = len(own)
        return _gathered(own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        first = dist.get_rank() * ctx.items
        return slope[first : first + ctx.items] * dist.get_world_size()


def _gathered(own: Tensor) -> Tensor:
    """(ranks * B, ...) of (B, ...), in the order of the ranks."""
    own = own.contiguous()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts)
