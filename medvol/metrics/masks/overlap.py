# SPDX-License-Identifier: Apache-2.0
"""Overlap of predicted and true regions, where a region is one label or several together.

Empty cases: when truth and prediction are both empty, Dice is not defined (NaN) and a mean leaves
the case out; when one of them is empty, Dice is 0. Pooled Dice adds the voxels of all cases first,
so every voxel counts alike and a case that is empty in truth still costs its false positives.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...spatial import voxel_volume_ml
from ...text import decimals
from ..evaluator import EvaluatorTable, PooledMetric, Row

COUNTS = ("both", "predicted", "true")
_figure = partial(decimals, places=4, missing="")


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


def region_counts(predicted: Tensor, true: Tensor, regions: Mapping[str, Sequence[int]]) -> Tensor:
    """(regions, 3) `overlap_counts` of each region, in their order.

    Args:
        predicted: label map, any shape.
        true: label map of the same shape.
        regions: name to labels.
    """
    return torch.stack([overlap_counts(predicted, true, values) for values in regions.values()])


def dice(counts: Tensor) -> Tensor:
    """Dice coefficient 2 both / (predicted + true) of counts (..., 3); NaN when both are empty.

    Example:
        >>> dice(torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])).tolist()
        [0.5, nan]
    """
    both, predicted, true = counts.unbind(-1)
    return 2 * both / (predicted + true)


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


class RegionDice(PooledMetric):
    """Dice of regions, per case, averaged and pooled; a MONAI metric.

    Args:
        regions: name to labels, such as {"lesion": [1, 2], "lung": [1, 2, 3]}.
        key: region of the figure that `aggregate` gives first.
        reduction: "pooled", or "mean" over the cases that have the region in the truth.

    Returns (aggregate):
        tensor of one figure: the key region's Dice.

    Raises:
        ValueError: a key that is not a region, an unknown reduction.
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

    def kept(self, predicted: Tensor, true: Tensor) -> Tensor:
        """(cases, regions, 3) `overlap_counts` of label maps (cases, ...)."""
        pairs = zip(predicted, true, strict=True)
        return torch.stack([region_counts(p, t, self.regions) for p, t in pairs])

    def figure(self, kept: Tensor) -> Tensor:
        """Dice of the key region over all cases, of rows (cases, regions, 3)."""
        pooled, mean = summarise(kept)
        index = list(self.regions).index(self.key)
        return (pooled if self.reduction == "pooled" else mean)[index]


class Overlap(NamedTuple):
    """Of one case: (regions, 3) voxels in both, predicted, true; and ml of a voxel."""

    counts: Tensor
    voxel_ml: float


class CaseTable(EvaluatorTable[Overlap]):
    """Collect per-case overlap while an evaluator runs, and write it at the end.

    Below the cases stand two rows a region: `pooled` (voxels of all cases together) and `mean`
    (over the cases whose truth has the region). Attach it to an evaluator whose post-processing
    gives label maps `pred` and `label` on one grid.

    Args:
        path: CSV file.
        regions: name to labels, such as {"lesion": [1, 2]}.
    """

    columns = ("case", "region", "dice", "voxels_both", "voxels_predicted", "voxels_true",
               "predicted_ml", "true_ml")  # fmt: skip

    def __init__(self, path: str | os.PathLike[str], regions: Mapping[str, Sequence[int]]) -> None:
        super().__init__(path)
        self.regions = {name: list(values) for name, values in regions.items()}

    def measure(self, item: Mapping[str, Any]) -> Overlap:
        """Overlap of each region, of label maps `pred` and `label`."""
        true = item["label"]
        counts = region_counts(item["pred"], true, self.regions).cpu()
        return Overlap(counts, voxel_volume_ml(true.affine.cpu().numpy()))

    def rows(self) -> Iterator[Row]:
        """A line a case and region, then two of all cases for each region."""
        for name, (counts, ml) in self.cases:
            for region, row in zip(self.regions, counts, strict=True):
                both, predicted, true = (int(n) for n in row)
                yield (name, region, _figure(float(dice(row))), both, predicted, true,
                       _figure(predicted * ml), _figure(true * ml))  # fmt: skip
        pooled, mean = summarise(torch.stack([overlap.counts for _, overlap in self.cases]))
        for kind, scores in (("pooled", pooled), ("mean", mean)):
            for region, score in zip(self.regions, scores, strict=True):
                yield kind, region, _figure(float(score)), "", "", "", "", ""
