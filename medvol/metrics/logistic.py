# SPDX-License-Identifier: Apache-2.0
"""Logistic regression with a penalty, for questions that a simple classifier should answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Numbers = npt.NDArray[np.float64]
PENALTY = 0.01  # beside a mean log loss: what C = 0.1 is of 1000 cases in other programs
MOST_STEPS = 500


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted model.

    Args:
        mean, spread: (features,) of the cases it was fitted on.
        weight: (features, classes), of features less mean over spread.
        bias: (classes,).
    """

    mean: Numbers
    spread: Numbers
    weight: Numbers
    bias: Numbers

    def probability(self, features: npt.ArrayLike) -> Numbers:
        """(N, classes) of features (N, features)."""
        standard = (np.asarray(features, np.float64) - self.mean) / self.spread
        return np.asarray(softmax(standard @ self.weight + self.bias, axis=1))


def fit_logistic(
    features: npt.ArrayLike, truth: npt.ArrayLike, *, classes: int, penalty: float = PENALTY
) -> Logistic:
    """The least mean log loss plus half the penalty times the sum of squared weights.

    Features are first given mean 0 and standard deviation 1; those that never change count nothing.

    Args:
        features: (N, features), N 1 or more.
        truth: (N,) 0 to classes - 1.
        classes: how many there are.
        penalty: above 0; the larger, the nearer all answers are to the shares of the classes.

    Raises:
        ValueError: shapes that do not belong together, no case, a penalty of 0 or less.

    Example:
        >>> model = fit_logistic([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], classes=2)
        >>> model.probability([[0.0], [1.5], [3.0]])[:, 1].round(2).tolist()
        [0.02, 0.5, 0.98]
    """
    table, true = np.asarray(features, np.float64), np.asarray(truth, np.int64)
    if table.ndim != 2 or true.shape != table.shape[:1] or not len(true):
        raise ValueError(
            f"features are {table.shape} and truths {true.shape}; give (N, F) and (N,)"
        )
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}; give a number above 0")
    mean, spread = table.mean(0), table.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    standard, wanted = (table - mean) / spread, np.eye(classes)[true]
    shape = (table.shape[1], classes)

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        weight, bias = flat[:-classes].reshape(shape), flat[-classes:]
        logarithms = log_softmax(standard @ weight + bias, axis=1)
        value = -(wanted * logarithms).sum() / len(true) + penalty / 2 * (weight**2).sum()
        error = (np.exp(logarithms) - wanted) / len(true)
        slope = standard.T @ error + penalty * weight
        return float(value), np.concatenate([slope.ravel(), error.sum(0)])

    start = np.zeros(shape[0] * classes + classes)
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    return Logistic(mean, spread, found.x[:-classes].reshape(shape), found.x[-classes:])
