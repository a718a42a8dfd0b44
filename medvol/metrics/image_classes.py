# SPDX-License-Identifier: Apache-2.0
"""How good a classifier of images is while it trains: figures of all images, higher is better."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.handlers import IgniteMetricHandler
from monai.metrics import CumulativeIterationMetric
from monai.utils.enums import CommonKeys
from torch import Tensor

from . import confusion
from .calibration import SMALLEST
from .classification import roc_auc


def accuracy(probability: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Share of the images whose most probable class is the true one.

    Args:
        probability: (N, classes).
        truth: (N,) classes.

    Example:
        >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        0.5
    """
    return float(confusion.accuracy(_matrix(probability, truth)))


def balanced_accuracy(probability: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Accuracy within each true class, in the mean over the classes that occur."""
    return float(np.nanmean(confusion.class_rates(_matrix(probability, truth)).recall))


def macro_auc(probability: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Area under the ROC curve of each class against the rest, in the mean over classes.

    Classes that do not occur, or that alone do, have none; NaN where no class has one.
    """
    areas = [roc_auc(p, (truth == c).astype(int)) for c, p in enumerate(probability.T)]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def log_likelihood(probability: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Mean logarithm of the probability of the true class: 0 is best; less the log loss."""
    return float(np.log(probability[np.arange(len(truth)), truth].clip(SMALLEST)).mean())


def _matrix(probability: npt.NDArray[Any], truth: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    said = probability.argmax(1)
    return confusion.confusion_matrix(truth, said, classes=probability.shape[1])


FIGURES: Mapping[str, Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "auc": macro_auc,
    "log_likelihood": log_likelihood,
}


class ImageClassFigure(CumulativeIterationMetric):
    """One of `FIGURES` over all images; a MONAI metric, so it gathers over GPUs.

    Give it probabilities (B, classes) and true classes (B,), batch by batch.
    """

    def __init__(self, figure: str) -> None:
        super().__init__()
        self.figure = FIGURES[figure]

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None:
            raise ValueError("ImageClassFigure needs the true classes beside the prediction")
        return torch.cat([y_pred.double(), y.double().reshape(-1, 1)], dim=1)

    def aggregate(self, *_: Any, **__: Any) -> Tensor:
        table = self.get_buffer().cpu().numpy()
        return torch.tensor(self.figure(table[:, :-1], table[:, -1].astype(int)))


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
