# SPDX-License-Identifier: Apache-2.0
"""Random flips and changes of intensity, as MONAI draws them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.networks.layers.convutils import gaussian_1d
from monai.transforms.transform import RandomizableTransform
from torch import Tensor

from .steps import ValueStep

EPSILON = 1e-7  # MONAI's, in its contrast
SMALLEST_WEIGHT = 1e-9  # of a kernel; less does not change a float32


class FlipStep(ValueStep):
    """MONAI's `RandFlipd`."""

    def _parameters(self, first: Tensor) -> list[int]:
        axis = self.stock.flipper.spatial_axis
        axes = range(first.ndim - 1) if axis is None else np.atleast_1d(axis).tolist()
        return [1 + int(a) if a >= 0 else int(a) for a in axes]

    def _applied(self, item: Tensor, drawn: list[int]) -> Tensor:
        return item.flip(drawn)


class NoiseStep(ValueStep):
    """MONAI's `RandGaussianNoised`: its strength as drawn there, its values by torch.

    Torch draws normal values five times as fast as NumPy. They are others for the same seed, of the
    same distribution, and depend on the state of the stock transform alone.
    """

    def _parameters(self, first: Tensor) -> Tensor:
        noise = self.stock.rand_gaussian_noise
        RandomizableTransform.randomize(noise, None)  # of its probability, which is 1
        std = noise.R.uniform(0, noise.std) if noise.sample_std else noise.std
        generator = torch.Generator().manual_seed(int(noise.R.randint(2**31)))
        like = first.movedim(3, 1) if first.ndim == 4 else first  # slice by slice, as patches are
        values = torch.empty(like.shape).normal_(noise.mean, std, generator=generator)
        return values.movedim(1, 3) if first.ndim == 4 else values

    def _applied(self, item: Tensor, drawn: Tensor) -> Tensor:
        return item + drawn


class ScaleStep(ValueStep):
    """MONAI's `RandScaleIntensityd`."""

    def _parameters(self, first: Tensor) -> Tensor:
        self.stock.scaler.randomize(first)
        return _of_channels(self.stock.scaler.factor, first) + 1

    def _applied(self, item: Tensor, drawn: Tensor) -> Tensor:
        return item * drawn


class ShiftStep(ValueStep):
    """MONAI's `RandShiftIntensityd`."""

    def _parameters(self, first: Tensor) -> Tensor:
        self.stock.shifter.randomize(first)
        return _of_channels(self.stock.shifter._offset, first)

    def _applied(self, item: Tensor, drawn: Tensor) -> Tensor:
        return item + drawn


class ContrastStep(ValueStep):
    """MONAI's `RandAdjustContrastd`."""

    def _parameters(self, first: Tensor) -> float:  # noqa: ARG002
        self.stock.adjuster.randomize(None)
        return float(self.stock.adjuster.gamma_value)

    def _applied(self, item: Tensor, drawn: float) -> Tensor:
        low, high = torch.aminmax(item)
        extent = high - low
        return ((item - low) / float(extent + EPSILON)).pow_(drawn).mul_(extent).add_(low)


class SmoothStep(ValueStep):
    """MONAI's `RandGaussianSmoothd`."""

    def _parameters(self, first: Tensor) -> list[Tensor]:
        smooth = self.stock.rand_smooth
        smooth.randomize(None)
        sigmas = (smooth.x, smooth.y, smooth.z)[: first.ndim - 1]
        return [gaussian_1d(torch.as_tensor(s), approx=smooth.approx) for s in sigmas]

    def _applied(self, item: Tensor, drawn: list[Tensor]) -> Tensor:
        for axis, kernel in enumerate(drawn):
            item = convolved(item, kernel.tolist(), axis + 1)
        return item


class DropoutStep(ValueStep):
    """MONAI's `RandCoarseDropoutd` with one value to fill in."""

    def _parameters(self, first: Tensor) -> list[Any]:
        self.stock.dropper.randomize(first.shape[1:])
        return list(self.stock.dropper.hole_coords)

    def _applied(self, item: Tensor, drawn: list[Any]) -> Tensor:
        filled = item.clone()
        for hole in drawn:
            filled[hole] = self.stock.dropper.fill_value
        return filled


def convolved(item: Tensor, kernel: Sequence[float], axis: int) -> Tensor:
    """A convolution along one axis, with zeros beyond the ends.

    Args:
        item: any shape.
        kernel: an odd number of weights, each at least 0, symmetric.
        axis: of the item.

    Example:
        >>> convolved(torch.tensor([[0.0, 4.0, 0.0]]), (0.25, 0.5, 0.25), 1).tolist()
        [[1.0, 2.0, 1.0]]
    """
    size, tail = item.shape[axis], len(kernel) // 2
    total = torch.zeros_like(item)
    for place, weight in enumerate(kernel):
        first = place - tail  # of the item, that the first of the result takes up
        common = size - abs(first)
        if weight > SMALLEST_WEIGHT and common > 0:
            taken = item.narrow(axis, max(0, first), common)
            total.narrow(axis, max(0, -first), common).add_(taken, alpha=weight)
    return total


def _of_channels(drawn: float | Sequence[float], first: Tensor) -> Tensor:
    """One number, or one a channel, in a shape that broadcasts over an item."""
    values = torch.as_tensor(drawn, dtype=torch.float32)
    return values.reshape(-1, *[1] * (first.ndim - 1)) if values.ndim else values
