# SPDX-License-Identifier: Apache-2.0
"""The figures of a classifier of images, of each class and of all, also with their intervals."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..intervals import (
    Estimate,
    LeftOut,
    Numbers,
    Scale,
    figure_estimate,
    mean_defined,
    ratio_estimate,
)
from .calibration import SMALLEST, checked, image_losses
from .confusion import confusion_matrix, macro_rates
from .decision import decided
from .ranking import checked_pair, roc_auc, weighted_auc, weighted_average_precision

Classes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
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
    left_out: LeftOut,
    predicted: Classes | None = None,
) -> list[dict[str, Estimate]]:
    """Of each class against all others: precision, recall, specificity, F1, AUC, average precision.

    `cases` of a figure is how many images it is of: for recall those of the class, for precision
    those taken for it.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.
        left_out: of `intervals.leave_out` for the same images.
        predicted: (N,) classes that the images count as; None for the most probable ones.

    Raises:
        ValueError: as for `calibration.image_losses`.
    """
    table, true = checked(probability, truth)
    taken = decided(table) if predicted is None else predicted
    found = [rates(true == c, taken == c, left_out) for c in range(table.shape[1])]
    for number, figures in enumerate(found):
        for name in RANKINGS:
            figures[name] = ranking_estimate(name, table[:, number], true == number, left_out)
    return found


def all_figures(
    probability: npt.ArrayLike,
    truth: npt.ArrayLike,
    left_out: LeftOut,
    predicted: Classes | None = None,
) -> dict[str, Estimate]:
    """Of all classes: accuracy, the means of `macro_rates`, of AUC, and log loss.

    Args:
        probability, truth, left_out, predicted: as for `class_figures`.
    """
    table, true = checked(probability, truth)
    classes, predicted = table.shape[1], decided(table) if predicted is None else predicted
    one = np.ones(len(true))
    right, losses = (predicted == true).astype(np.float64), image_losses(table, true)
    found = {
        "accuracy": ratio_estimate(right, one, left_out),
        "log_loss": ratio_estimate(losses, one, left_out, scale=Scale.AMOUNT),
    }
    often = np.vstack([one, left_out])  # first all images
    means = macro_rates(_matrices(true, predicted, classes, often))
    for name in ("recall", "precision", "f1", "specificity"):
        value, *without = getattr(means, name)
        found[f"macro_{name}"] = figure_estimate(value, np.array(without), left_out, classes=true)
    for name, ranking in RANKINGS.items():
        each = [ranking(table[:, c], true == c, often) for c in range(classes)]
        value, *without = mean_defined(each, axis=0)
        found[f"macro_{name}"] = figure_estimate(value, np.array(without), left_out, classes=true)
    return found


def ranking_estimate(
    name: str, score: npt.ArrayLike, truth: npt.ArrayLike, left_out: LeftOut
) -> Estimate:
    """AUC or average precision, with its interval.

    Args:
        name: of `RANKINGS`.
        score: (N,) probability or any score that grows with it.
        truth: (N,) 0 or 1.
        left_out: of `intervals.leave_out` for the same cases.

    Raises:
        ValueError: as for `ranking.roc_auc`.

    Example:
        >>> from medvol.metrics.intervals import leave_out
        >>> alone = leave_out("abcdefghij")
        >>> ranking_estimate("auc", range(10), [0] * 5 + [1] * 5, alone).words("{:.2f}".format)
        '1.00 (0.59 to 1.00)'
    """
    scores, positive = checked_pair(score, truth)
    often = np.vstack([np.ones(len(scores)), left_out])  # first all cases
    value, *without = RANKINGS[name](scores, positive, often)
    return figure_estimate(float(value), np.array(without), left_out, classes=positive)


def rates(is_it: Flags, taken: Flags, left_out: LeftOut) -> dict[str, Estimate]:
    """Precision, recall, specificity and F1 of one class.

    Each is a sum over the images above the line, divided by one below it.

    Args:
        is_it: (N,) images of the class.
        taken: (N,) images that are taken for it.
        left_out: of `intervals.leave_out` for the same images.

    Example:
        >>> found = rates(np.array([True, True]), np.array([True, False]), np.ones((1, 2)))
        >>> found["recall"].value
        0.5
    """
    hits = is_it & taken
    parts: dict[str, tuple[Any, Any]] = {
        "precision": (hits, taken),
        "recall": (hits, is_it),
        "specificity": (~is_it & ~taken, ~is_it),
        "f1": (2 * hits, 1 * is_it + taken),
    }
    return {
        name: ratio_estimate(np.where(below > 0, above, np.nan), below.astype(np.float64), left_out)
        for name, (above, below) in parts.items()
    }


def _matrices(truth: Classes, predicted: Classes, classes: int, often: LeftOut) -> npt.NDArray[Any]:
    """The confusion matrix of the images as often as each counts, (R, classes, classes)."""
    cells = np.eye(classes**2)[truth * classes + predicted]  # (N, cells)
    return np.asarray((often @ cells).reshape(-1, classes, classes))
