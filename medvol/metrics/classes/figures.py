# SPDX-License-Identifier: Apache-2.0
"""The figures of a classifier of images, of each class and of all, also with their intervals."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..intervals import (
    Draws,
    Estimate,
    Numbers,
    mean_defined,
    ratio_estimate,
    resampled_estimate,
)
from .calibration import SMALLEST, checked, image_losses
from .confusion import class_rates, confusion_matrix, macro_rates
from .decision import decided
from .ranking import roc_auc, weighted_auc, weighted_average_precision

Classes = npt.NDArray[np.int64]
Ranking = Callable[[Any, Any, npt.NDArray[Any]], Numbers]
RANKINGS: dict[str, Ranking] = {
    "auc": weighted_auc,
    "average_precision": weighted_average_precision,
}


def accuracy(probability: Numbers, truth: Classes) -> float:
    """Share of the images whose most probable class is the true one.

    Args:
        probability: (N, classes).
        truth: (N,) classes.

    Example:
        >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        0.5
    """
    return float((probability.argmax(1) == truth).mean())


def balanced_accuracy(probability: Numbers, truth: Classes) -> float:
    """Accuracy within each true class, in the mean over the classes that occur.

    Args:
        probability, truth: as for `accuracy`.
    """
    matrix = confusion_matrix(truth, probability.argmax(1), classes=probability.shape[1])
    return float(macro_rates(matrix).recall)


def macro_auc(probability: Numbers, truth: Classes) -> float:
    """Area under the ROC curve of each class against the rest, in the mean over classes.

    Classes that do not occur, or that alone do, have none; NaN where no class has one.

    Args:
        probability, truth: as for `accuracy`.
    """
    areas = [roc_auc(scores, truth == c) for c, scores in enumerate(probability.T)]
    return float(mean_defined(areas, axis=0))


def log_likelihood(probability: Numbers, truth: Classes) -> float:
    """Mean logarithm of the probability of the true class: 0 is best; less the log loss.

    Args:
        probability, truth: as for `accuracy`.
    """
    return float(np.log(probability[np.arange(len(truth)), truth].clip(SMALLEST)).mean())


FIGURES: Mapping[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "auc": macro_auc,
    "log_likelihood": log_likelihood,
}


def class_figures(
    probability: npt.ArrayLike,
    truth: npt.ArrayLike,
    draws: Draws,
    predicted: Classes | None = None,
) -> list[dict[str, Estimate]]:
    """Of each class against all others: precision, recall, specificity, F1, AUC, average precision.

    `cases` of a figure is how many images it is of: for recall those of the class, for precision
    those taken for it.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.
        draws: of `intervals.draw_patients` for the same images.
        predicted: (N,) classes that the images count as; None for the most probable ones.

    Raises:
        ValueError: as for `calibration.image_losses`.
    """
    table, true = checked(probability, truth)
    predicted = decided(table) if predicted is None else predicted
    value, resampled = map(class_rates, _matrices(true, predicted, table.shape[1], draws))
    figures = []
    for number, score in enumerate(table.T):
        is_it, taken = true == number, predicted == number
        images = {"precision": taken, "recall": is_it, "specificity": ~is_it, "f1": is_it | taken}
        found = {
            name: resampled_estimate(
                float(getattr(value, name)[number]),
                getattr(resampled, name)[:, number],
                draws[:, chosen],
            )
            for name, chosen in images.items()
        }
        for name, ranking in RANKINGS.items():
            area = float(ranking(score, is_it, np.ones((1, len(score))))[0])
            found[name] = resampled_estimate(area, ranking(score, is_it, draws), draws)
        figures.append(found)
    return figures


def all_figures(
    probability: npt.ArrayLike,
    truth: npt.ArrayLike,
    draws: Draws,
    predicted: Classes | None = None,
) -> dict[str, Estimate]:
    """Of all classes: accuracy, the means of `macro_rates`, of AUC, and log loss.

    Args:
        probability, truth, draws, predicted: as for `class_figures`.
    """
    table, true = checked(probability, truth)
    classes, predicted = table.shape[1], decided(table) if predicted is None else predicted
    one = np.ones(len(true))
    found = {
        "accuracy": ratio_estimate((predicted == true).astype(np.float64), one, draws),
        "log_loss": ratio_estimate(image_losses(table, true), one, draws),
    }
    value, resampled = map(macro_rates, _matrices(true, predicted, classes, draws))
    for name in ("recall", "precision", "f1", "specificity"):
        figure = float(getattr(value, name))
        found[f"macro_{name}"] = resampled_estimate(figure, getattr(resampled, name), draws)
    for name, ranking in RANKINGS.items():
        mean, means = (
            mean_defined([ranking(table[:, c], true == c, often) for c in range(classes)], axis=0)
            for often in (one[None], draws)
        )
        found[f"macro_{name}"] = resampled_estimate(float(mean[0]), means, draws)
    return found


def _matrices(
    truth: Classes, predicted: Classes, classes: int, draws: Draws
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The confusion matrix of the images, and that of each resample, (R, classes, classes)."""
    cells = np.eye(classes**2)[truth * classes + predicted]  # (N, cells)
    drawn = (draws @ cells).reshape(-1, classes, classes)
    return confusion_matrix(truth, predicted, classes=classes), drawn
