# SPDX-License-Identifier: Apache-2.0
"""How well a slice classifier sorts slices: area under the ROC curve over all slices."""

from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric, compute_roc_auc
from torch import Tensor


class SliceAUC(CumulativeIterationMetric):
    """AUC of slices, pooled over volumes; a MONAI metric, so it gathers over GPUs.

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

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError("SliceAUC needs the true classes beside the prediction")
        score = 1 - y_pred[:, 0]
        return torch.stack([score.float(), y.float()], dim=-1).flatten(0, 1)

    def aggregate(self, *_: Any, **__: Any) -> Tensor:
        score, amount = self.get_buffer().unbind(1)
        counts = (amount == 0) | (amount >= self.smallest)
        score, truth = score[counts], (amount[counts] > 0).float()
        if truth.unique().numel() < 2:
            return torch.tensor(torch.nan)
        return torch.tensor(compute_roc_auc(score, truth))
