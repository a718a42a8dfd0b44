# SPDX-License-Identifier: Apache-2.0
"""Overlap of predicted and true regions, where a region is one label or several together.

Empty cases: when truth and prediction are both empty, Dice is not defined (NaN) and a mean leaves
the case out; when one of them is empty, Dice is 0. Pooled Dice adds the voxels of all cases first,
so every voxel counts alike and a case that is empty in truth still costs its false positives.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric
from torch import Tensor

COUNTS = ("both", "predicted", "true")


def overlap_counts(predicted: Tensor, true: Tensor, values: Sequence[int]) -> Tensor:
    """Voxels of a region in both maps, in the prediction, and in the truth.

    Args:
        predicted: label map, any shape.
        true: label map of the same shape, on any device.
        values: labels that form the region.

    Returns:
        (3,) float64 on the prediction's device, in the order of `COUNTS`.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> overlap_counts(torch.tensor([1, 2, 0, 3]), torch.tensor([1, 0, 1, 3]), [1, 2]).tolist()
        [1.0, 2.0, 2.0]
    """
    if predicted.shape != true.shape:
        raise ValueError(
            f"prediction {tuple(predicted.shape)} and truth {tuple(true.shape)} differ in shape; "
            "bring both to one grid first"
        )
    labels = torch.as_tensor(list(values), device=predicted.device)
    in_predicted = torch.isin(predicted, labels)
    in_true = torch.isin(true.to(predicted.device), labels)
    sums = [(in_predicted & in_true).sum(), in_predicted.sum(), in_true.sum()]
    return torch.stack(sums).to(torch.float64)


def dice(counts: Tensor) -> Tensor:
    """Dice coefficient 2 both / (predicted + true) of counts (..., 3); NaN when both are empty.

    Example:
        >>> dice(torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])).tolist()
        [0.5, nan]
    """
    both, predicted, true = counts.unbind(-1)
    return 2 * both / (predicted + true)


class RegionDice(CumulativeIterationMetric):
    """Dice of regions, per case, averaged and pooled; a MONAI metric, so it gathers over GPUs.

    Args:
        regions: name to labels, such as {"lesion": [1, 2], "lung": [1, 2, 3]}.
        key: region of the figure that `aggregate` gives first.
        reduction: "pooled", or "mean" over the cases that have the region in the truth.

    Returns (aggregate):
        tensor of one figure: the key region's Dice.

    Raises:
        ValueError: a key that is no region, an unknown reduction.
    """

    def __init__(
        self, regions: Mapping[str, Sequence[int]], key: str, reduction: str = "pooled"
    ) -> None:
        super().__init__()
        if key not in regions:
            raise ValueError(f"key is {key!r}; give one of the regions {', '.join(regions)}")
        if reduction not in ("pooled", "mean"):
            raise ValueError(f'reduction is {reduction!r}; give "pooled" or "mean"')
        self.regions = {name: list(values) for name, values in regions.items()}
        self.key = key
        self.reduction = reduction

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError("RegionDice needs the true label map beside the prediction")
        rows = [
            torch.stack([overlap_counts(p, t, values) for values in self.regions.values()])
            for p, t in zip(y_pred, y, strict=True)
        ]
        return torch.stack(rows)

    def aggregate(self, *_: Any, **__: Any) -> Tensor:
        pooled, mean = summarise(self.get_buffer())
        index = list(self.regions).index(self.key)
        return (pooled if self.reduction == "pooled" else mean)[index]


def summarise(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled Dice and mean Dice per region.

    Args:
        counts: (cases, regions, 3) as `overlap_counts` gives them.

    Returns:
        pooled (regions,), over all cases; mean (regions,), over the cases whose truth has the
        region (NaN where none has).
    """
    per_case = torch.where(counts[..., 2] > 0, dice(counts), torch.nan)
    return dice(counts.sum(0)), torch.nanmean(per_case, dim=0)
