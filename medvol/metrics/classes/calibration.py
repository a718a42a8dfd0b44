# SPDX-License-Identifier: Apache-2.0
"""Whether probabilities can be believed: log loss, calibration, temperature, Platt scaling."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from .ranking import checked_pair

Numbers = npt.NDArray[np.float64]
BINS = 10
TEMPERATURES = (0.05, 20.0)  # beyond them probabilities are 0, 1 or alike for every score
NO_INTERVAL = "with few cases it is too high by itself, as chance parts shares from probabilities"
SMALLEST = 1e-7  # probability that counts as this at least; the logarithm of 0 has no end


class Bin(NamedTuple):
    """Cases of like probability: how many, their mean probability, the share that is positive."""

    cases: int
    probability: float
    positive_share: float


def image_losses(probability: npt.ArrayLike, truth: npt.ArrayLike) -> Numbers:
    """Log loss of each image: less the logarithm of the probability of its true class, (N,).

    0 is best; half a chance has 0.69; the most is 16.1, of `SMALLEST`.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.

    Raises:
        ValueError: shapes that do not belong together, values that are not probabilities.

    Example:
        >>> image_losses([[0.5, 0.5], [0.0, 1.0]], [0, 1]).round(2).tolist()
        [0.69, 0.0]
    """
    table, true = checked(probability, truth)
    return np.abs(np.log(table[np.arange(len(true)), true].clip(SMALLEST, 1.0)))


def reliability(probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = BINS) -> list[Bin]:
    """Mean probability and share of positives in bins of equal width; empty bins are left out.

    Args:
        probability: (N,) 0 to 1.
        truth: (N,) 0 or 1.
        bins: how many.

    Example:
        >>> reliability([0.1, 0.15, 0.9, 1.0], [0, 1, 1, 1], bins=2)
        [Bin(cases=2, probability=0.125, positive_share=0.5), Bin(cases=2, probability=0.95, \
positive_share=1.0)]
    """
    scores, positive = checked_pair(probability, truth)
    index = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        Bin(
            int((index == i).sum()),
            float(scores[index == i].mean()),
            float(positive[index == i].mean()),
        )
        for i in range(bins)
        if (index == i).any()
    ]


def expected_calibration_error(
    probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = BINS
) -> float:
    """Mean distance between probability and share of positives over bins, weighted by cases.

    Naeini et al. 2015, for the probability of a positive; Guo et al. 2017 of what `top` gives.

    Args:
        probability: (N,) 0 to 1.
        truth: (N,) 0 or 1.
        bins: how many, of equal width.

    Returns:
        0 to 1; NaN without cases.

    Example:
        >>> expected_calibration_error([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 0], bins=2)
        0.25
    """
    found = reliability(probability, truth, bins=bins)
    cases = sum(row.cases for row in found)
    gaps = [row.cases * abs(row.probability - row.positive_share) for row in found]
    return float(sum(gaps) / cases) if cases else float("nan")


def top(probability: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Probability of the predicted class, and whether it is right, for `reliability` and the rest.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.

    Returns:
        (N,) 0 to 1, and (N,) 0 or 1.

    Example:
        >>> given, right = top([[0.75, 0.25], [0.25, 0.75]], [0, 0])
        >>> given.tolist(), right.tolist()
        ([0.75, 0.75], [1.0, 0.0])
        >>> expected_calibration_error(given, right)
        0.25
    """
    table, true = checked(probability, truth)
    return table.max(1).clip(0, 1), (table.argmax(1) == true).astype(np.float64)


def fit_class_temperature(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The temperature with the least log loss, of probabilities of two classes or more.

    Guo et al., "On calibration of modern neural networks", 2017. Fit it on images that the network
    was not trained on, and that no figure is given of.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.

    Returns:
        0.05 to 20: above 1 where the network was too sure. Where every image is right, the lowest;
        where there is none, 1.

    Example:
        >>> sure = [[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4
        >>> round(fit_class_temperature(sure, [0, 0, 0, 1, 1, 1, 1, 0]), 2)  # right in 3 of 4
        2.0
    """
    table, true = checked(probability, truth)
    if not len(true):
        return 1.0
    logarithms = np.log(table.clip(SMALLEST))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logarithms / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(true)), true].mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def fit_platt(scores: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[float, float]:
    """Slope and offset that make `slope * score + offset` the likeliest log odds of the truth.

    Platt scaling (Platt, "Probabilistic outputs for support vector machines", 1999): the ranking
    stays where the slope is above 0. Each truth is moved from 0 and 1 by one case in so many, as
    there, so that separated classes have an answer. Fit it on cases that the network has not seen.

    Args:
        scores: (N,) of any unit, higher for the positive class.
        truth: (N,) 0 or 1.

    Returns:
        slope, in log odds a unit of the score, and offset in log odds.

    Raises:
        ValueError: as in `ranking.roc_auc`, or only one class is there.

    Example:
        >>> slope, offset = fit_platt([0.0] * 3 + [2.0] * 3, [0, 0, 1, 0, 1, 1])
        >>> round(slope, 3), round(offset, 3)
        (0.405, -0.405)
    """
    given, positive = checked_pair(scores, truth)
    count = int(positive.sum())
    if count in (0, len(positive)):
        raise ValueError("the truth has one class only; give positives and negatives")
    aim = np.where(positive, (count + 1) / (count + 2), 1 / (len(positive) - count + 2))

    def loss(line: Numbers) -> float:
        odds = line[0] * given + line[1]
        return float((np.logaddexp(0, odds) - aim * odds).mean())

    found = minimize(loss, np.array([1.0, 0.0]), method="BFGS")
    return float(found.x[0]), float(found.x[1])


def with_temperature(probability: npt.ArrayLike, temperature: float) -> Numbers:
    """Probabilities to the power of 1 / temperature, made to add up to 1 again.

    That is to divide the logits by the temperature: the order of the classes stays.

    Args:
        probability: (N, classes), each row adds up to 1.
        temperature: above 0.

    Returns:
        (N, classes).

    Raises:
        ValueError: a temperature that is not above 0.

    Example:
        >>> with_temperature([[0.9, 0.1]], 2.0).round(2).tolist()
        [[0.75, 0.25]]
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; give a number above 0")
    logarithms = np.log(np.asarray(probability, np.float64).clip(SMALLEST))
    return np.asarray(np.exp(log_softmax(logarithms / temperature, axis=1)))


def checked(
    probability: npt.ArrayLike, truth: npt.ArrayLike
) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Both as arrays (N, classes) and (N,), found to belong together.

    Args:
        probability: (N, classes), each row adds up to 1.
        truth: (N,) classes.

    Raises:
        ValueError: shapes that do not belong together, values that are not probabilities.
    """
    table, true = np.asarray(probability, np.float64), np.asarray(truth)
    if table.ndim != 2 or true.shape != table.shape[:1]:
        raise ValueError(
            f"probabilities are {table.shape} and truths {true.shape}; give (N, classes) and (N,)"
        )
    if not np.isin(true, np.arange(table.shape[1])).all():
        raise ValueError(f"a truth is out of range; give classes from 0 to {table.shape[1] - 1}")
    if not ((table >= 0) & (table <= 1 + 1e-6)).all() or not np.allclose(
        table.sum(1), 1, atol=1e-3
    ):
        raise ValueError("a row does not add up to 1; give probabilities of each class")
    return table, true.astype(np.int64)
