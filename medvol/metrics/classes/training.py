# SPDX-License-Identifier: Apache-2.0
"""How good a classifier is while it trains: figures of images or slices, a table of slices."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from monai.handlers import IgniteMetricHandler
from monai.utils.enums import CommonKeys
from torch import Tensor

from ..evaluator import EvaluatorTable, PooledMetric, Row
from .figures import FIGURES
from .ranking import roc_auc


class ImageClassFigure(PooledMetric):
    """One of `figures.FIGURES` over all images; a MONAI metric.

    Give it probabilities (B, classes) and true classes (B,), batch by batch.

    Args:
        figure: name of one of them.
    """

    def __init__(self, figure: str) -> None:
        super().__init__()
        self.name = figure

    def kept(self, predicted: Tensor, true: Tensor) -> Tensor:
        """(B, classes + 1) probabilities and class of each image."""
        return torch.cat([predicted.double(), true.double().reshape(-1, 1)], dim=1)

    def figure(self, kept: Tensor) -> Tensor:
        """The figure of all images, of rows (N, classes + 1)."""
        table = kept.cpu().numpy()
        return torch.tensor(FIGURES[self.name](table[:, :-1], table[:, -1].astype(int)))


class ImageClassMetric(IgniteMetricHandler):
    """A figure of an image classifier for the key or the additional metrics of an evaluator.

    The evaluator's output has probabilities in "pred" (after softmax) and true classes in "label".

    Args:
        figure: "accuracy", "balanced_accuracy" (rare classes count as much), "auc" (each class
            against the rest, mean) or "log_likelihood" (less the log loss). Higher is better in
            all, so each can choose the best epoch.

    Raises:
        ValueError: another figure.
    """

    def __init__(self, figure: str) -> None:
        if figure not in FIGURES:
            raise ValueError(f"figure is {figure!r}; give one of {', '.join(FIGURES)}")
        super().__init__(
            metric_fn=ImageClassFigure(figure),
            output_transform=scores_and_classes,
            save_details=False,
        )


def scores_and_classes(output: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    """Probabilities (B, classes) and classes (B,) from an evaluator's list of dictionaries.

    MONAI gives the label of each image as a number or as a tensor, by how it came.
    """
    scores = torch.stack([torch.as_tensor(item[CommonKeys.PRED]) for item in output])
    labels = [int(item[CommonKeys.LABEL]) for item in output]
    return scores, torch.tensor(labels, device=scores.device)


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
        """AUC of the slices that are one or the other, of rows (N, 2)."""
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
