# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation over the batch of all processes that train together, on a CPU too."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


def synchronised(network: nn.Module) -> nn.Module:
    """A network whose batch normalisation takes mean and variance over all processes.

    Parameters and buffers stay the same objects under the same names, so optimizers and files of
    weights know them. On a GPU it is torch's `SyncBatchNorm`, which refuses tensors of a CPU; there
    it is `SynchronisedBatchNorm`.

    Args:
        network: changed in place, unless it is a batch normalisation itself.
    """
    if torch.cuda.is_available():
        made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return made
    if isinstance(network, _BatchNorm):
        return SynchronisedBatchNorm(network)
    for name, part in network.named_children():
        setattr(network, name, synchronised(part))
    return network


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation as torch has it, in training over the batches of all processes.

    All processes of the default group must come here as often as each other. In evaluation they
    know nothing of each other.

    Args:
        stock: whose parameters, buffers and settings it takes over.
    """

    def __init__(self, stock: _BatchNorm) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(stock.__dict__)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch normalisation needs (B, C, ...), not {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """The input (B, C, ...) normalised, of the same shape."""
        self._check_input_dim(input)
        if not self.training:
            return super().forward(input)
        made, mean, variance, count = _Normalise.apply(input, self.weight, self.bias, self.eps)
        if self.track_running_stats and self.running_mean is not None:
            self._follow(mean, variance * (count / (count - 1)))
        return made

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running figures towards those of this batch, (C,) each."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean of all batches so far
            share = 1.0 / float(self.num_batches_tracked)
        self.running_mean.mul_(1 - share).add_(mean, alpha=share)
        self.running_var.mul_(1 - share).add_(variance, alpha=share)


class _Normalise(Function):
    """Mean and variance of all processes, and the slope through both of them.

    With x' = (x - mean) / sqrt(variance + eps), y = weight x' + bias and a slope g of y, that of x
    is weight / sqrt(variance + eps) (g - mean(g) - x' mean(g x')), means over all processes: Ioffe
    and Szegedy, "Batch normalization", 2015 (https://arxiv.org/abs/1502.03167).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        kind = torch.promote_types(x.dtype, torch.float32)
        own, count = x.to(kind), x.numel() // x.shape[1]
        variance, mean = (v.double() for v in torch.var_mean(own, axes, correction=0))
        sums = torch.stack([mean, variance + mean**2, torch.ones_like(mean)]) * count
        dist.all_reduce(sums)
        total = float(sums[2, 0])
        if total < 2:
            raise ValueError(f"batch normalisation needs 2 values a channel or more, not {total}")
        mean = sums[0] / total
        variance = (sums[1] / total - mean**2).clamp(min=0)
        mean, variance = mean.to(kind), variance.to(kind)
        made = F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.count = total
        ctx.mark_non_differentiable(mean, variance)
        return made, mean, variance, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        axes = [axis for axis in range(x.ndim) if axis != 1]
        wide = (1, -1, *[1] * (x.ndim - 2))
        g = slope.to(mean.dtype)
        normal = (x.to(mean.dtype) - mean.reshape(wide)) * scale.reshape(wide)
        own = torch.stack([g.sum(axes), (g * normal).sum(axes)])
        sums = own.clone()
        dist.all_reduce(sums)
        of_g, of_both = (part.reshape(wide) / ctx.count for part in sums)
        scale = scale if weight is None else scale * weight
        given = (g - of_g - normal * of_both) * scale.reshape(wide)
        # of weight and bias those of this process: the processes' are put together behind this
        own_weight, own_bias = (own[1], own[0]) if weight is not None else (None, None)
        return given.to(x.dtype), own_weight, own_bias, None
