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
from .confusion import confusion_matrix, macro_rates
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
    probability: npt.ArrayLike, truth: npt.ArrayLike, draws: Draws
) -> list[dict[str, Estimate]]:
    """Of each class against all others: precision, recall, specificity, F1, AUC, average precision.

    The predicted class is the most probable one. `cases` of a figure is how many images it is of:
    for recall those of the class, for precision those taken for it.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.
        draws: of `intervals.draw_patients` for the same images.

    Raises:
        ValueError: as for `calibration.image_losses`.
    """
    table, true = checked(probability, truth)
    predicted = table.argmax(1)
    return [_figures_of(c, table[:, c], true, predicted, draws) for c in range(table.shape[1])]


def all_figures(
    probability: npt.ArrayLike, truth: npt.ArrayLike, draws: Draws
) -> dict[str, Estimate]:
    """Of all classes: accuracy, the means of `macro_rates`, of AUC, and log loss.

    Args:
        probability, truth, draws: as for `class_figures`.
    """
    table, true = checked(probability, truth)
    classes, predicted = table.shape[1], table.argmax(1)
    one = np.ones(len(true))
    found = {
        "accuracy": ratio_estimate((predicted == true).astype(np.float64), one, draws),
        "log_loss": ratio_estimate(image_losses(table, true), one, draws),
    }
    whole = confusion_matrix(true, predicted, classes=classes)
    cells = np.eye(classes**2)[true * classes + predicted]  # (N, cells)
    drawn = (draws @ cells).reshape(-1, classes, classes)
    value, resampled = macro_rates(whole), macro_rates(drawn)
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


def _figures_of(
    number: int, score: Numbers, truth: Classes, predicted: Classes, draws: Draws
) -> dict[str, Estimate]:
    true, taken = truth == number, predicted == number
    hits, misses = (true & taken).astype(np.float64), (~true & ~taken).astype(np.float64)

    def share(part: Numbers, whole: npt.NDArray[np.bool_]) -> Estimate:
        return ratio_estimate(np.where(whole, part, np.nan), whole.astype(np.float64), draws)

    either = true.astype(np.float64) + taken
    found = {
        "precision": share(hits, taken),
        "recall": share(hits, true),
        "specificity": share(misses, ~true),
        "f1": ratio_estimate(np.where(either > 0, 2 * hits, np.nan), either, draws),
    }
    for name, ranking in RANKINGS.items():
        value = float(ranking(score, true, np.ones((1, len(score))))[0])
        found[name] = resampled_estimate(value, ranking(score, true, draws), draws)
    return found
