# SPDX-License-Identifier: Apache-2.0
"""How good a classifier of images is while it trains: figures of all images, higher is better."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.handlers import IgniteMetricHandler
from monai.utils.enums import CommonKeys
from torch import Tensor

from ..evaluator import PooledMetric
from .figures import FIGURES


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
        """The figure of all images."""
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
