# SPDX-License-Identifier: Apache-2.0
"""How good a classifier of slices is while it trains: AUC of all slices, and a table of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..evaluator import EvaluatorTable, PooledMetric, Row
from .ranking import roc_auc


class SliceAUC(PooledMetric):
    """Area under the ROC curve of slices, pooled over volumes; a MONAI metric.

    Give it probabilities (classes, Z), class 0 negative, and true classes (Z,), or the area of
    lesion in each slice, volume by volume.

    Args:
        smallest: class or area of a positive slice; with less, but more than 0, a slice is neither
            and left out.

    Returns (aggregate):
        tensor of one figure, 0 to 1; NaN where all slices are of one kind.
    """

    def __init__(self, smallest: float = 1.0) -> None:
        super().__init__()
        self.smallest = smallest

    def kept(self, predicted: Tensor, true: Tensor) -> Tensor:
        """(N, 2) score and class, or area, of each slice, of volumes (B, classes, Z), (B, Z)."""
        score = 1 - predicted[:, 0]
        return torch.stack([score.float(), true.float()], dim=-1).flatten(0, 1)

    def figure(self, kept: Tensor) -> Tensor:
        """AUC of the slices that are one or the other."""
        score, amount = kept.cpu().unbind(1)
        counts = (amount == 0) | (amount >= self.smallest)
        return torch.tensor(roc_auc(score[counts].numpy(), (amount[counts] > 0).numpy()))


def log_odds(probabilities: Tensor) -> Tensor:
    """Log odds of a finding, (Z,), of probabilities (2, Z), class 0 is none.

    Example:
        >>> log_odds(torch.tensor([[0.5, 0.2], [0.5, 0.8]])).exp().tolist()
        [1.0, 4.0]
    """
    return probabilities[1].log() - probabilities[0].log()


class SliceScores(EvaluatorTable[list[tuple[float, float]]]):
    """Write score and area of lesion of every slice an evaluator sees, as a CSV.

    Attach it to an evaluator whose post-processing gives probabilities `pred` (2, Z) and `label`
    (Z,) in mm^2. Slices are those of the network's input, 0 is nearest the feet.

    Args:
        path: of the CSV.
    """

    columns = ("case", "slice", "log_odds", "lesion_mm2")

    def measure(self, item: Mapping[str, Any]) -> list[tuple[float, float]]:
        """Log odds and area of lesion in mm^2 of each slice."""
        odds = log_odds(item["pred"]).tolist()
        return list(zip(odds, item["label"].tolist(), strict=True))

    def rows(self) -> Iterator[Row]:
        """A line a slice."""
        for case, slices in self.cases:
            for index, (odds, mm2) in enumerate(slices):
                yield case, index, f"{odds:.5f}", f"{mm2:.2f}"
