# SPDX-License-Identifier: Apache-2.0
"""How well a class is predicted from what should not matter: the border of an image, its source.

A classifier may learn the hospital, the scanner or the age instead of the disease. Where the class
can be predicted from the border of an image as well as from the whole, its figures say little.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..intervals import Estimate, Numbers, leave_out
from .figures import all_figures

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CLASS, SOURCE = "class", "source"  # what is predicted; keys of an item
NAME_ALONE = "name of the source"  # a clue, beside the regions of `transforms.surroundings`
PENALTY = 0.01  # beside a mean log loss: what C = 0.1 is of 1000 cases in scikit-learn
MOST_STEPS = 500
TOLERANCE = 1e-6  # of the gradient, so that the answer does not depend on how it was looked for


class Clues(NamedTuple):
    """What is known of each image of a part, all in one order.

    Args:
        clue: (N, features) numbers, or N names such as those of the source.
        label: what is to be predicted, such as the name of the class.
        patient: images of one person share it.
    """

    clue: npt.ArrayLike | Sequence[str]
    label: Sequence[str]
    patient: Sequence[str]


class Predicted(NamedTuple):
    """How well one thing is predicted from another.

    Args:
        target: what is predicted: "class" or "source".
        clue: from what, such as "border".
        accuracy, auc: on the part that is measured; AUC of each against the rest, mean.
        guess: accuracy, 0 to 1, of always giving the answer that is most frequent in training.
        answers: how many there are to choose from.
    """

    target: str
    clue: str
    accuracy: Estimate
    auc: Estimate
    guess: float
    answers: int


@dataclass(frozen=True)
class Confounding:
    """What was predicted from what.

    Args:
        predicted: one row a target and clue.
        training: how many images the simple classifiers were fitted on.
        measured: how many they were measured on.
        shared: training images left out because their patient is in the measured part.
        unreadable: images left out because they could not be read.
    """

    predicted: tuple[Predicted, ...]
    training: int
    measured: int
    shared: int
    unreadable: int

    @property
    def targets(self) -> dict[str, list[Predicted]]:
        """Each target that there was something to predict of, the class first, to its rows."""
        found = {x: [row for row in self.predicted if row.target == x] for x in (CLASS, SOURCE)}
        return {target: rows for target, rows in found.items() if rows}

    def record(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "training_images": self.training,
            "measured_images": self.measured,
            "left_out_as_their_patient_is_measured": self.shared,
            "unreadable": self.unreadable,
            "predictions": [
                row._asdict() | {"accuracy": row.accuracy.record(), "auc": row.auc.record()}
                for row in self.predicted
            ],
        }


def predict_from(target: str, clue: str, training: Clues, measured: Clues) -> Predicted | None:
    """Predict labels from one clue alone, learned on the training part, and measure it on another.

    From numbers by `fit_logistic`. From names by the shares of the labels among training images of
    the same name; a name that is not in training has the shares of all.

    Args:
        target: what the labels are, for the result.
        clue: what the clue is, for the result.
        training: what is learned from.
        measured: what figures are given of. Images whose label does not occur in training are left
            out: nothing could have predicted them.

    Returns:
        None where there is nothing to predict: fewer than two labels in training, or no image left.
    """
    answers = sorted(set(training.label))
    known = [i for i, label in enumerate(measured.label) if label in answers]
    if len(answers) < 2 or not known:
        return None
    clues = np.asarray(measured.clue)[known]
    if clues.ndim == 2:
        truth = [answers.index(label) for label in training.label]
        probability = fit_logistic(training.clue, truth).predict_proba(clues)
    else:
        probability = _shares(training, clues.tolist(), answers)
    labels = [measured.label[i] for i in known]
    left_out = leave_out([measured.patient[i] for i in known])
    figures = all_figures(probability, [answers.index(label) for label in labels], left_out)
    ((usual, _),) = Counter(training.label).most_common(1)
    guess = labels.count(usual) / len(labels)
    return Predicted(target, clue, figures["accuracy"], figures["macro_auc"], guess, len(answers))


def fit_logistic(
    features: npt.ArrayLike, truth: npt.ArrayLike, *, penalty: float = PENALTY
) -> "Pipeline":
    """Scikit-learn's logistic regression of features that have mean 0 and standard deviation 1.

    Its answer has the least mean log loss plus half the penalty times the sum of squared weights,
    each class with weights of its own, also where there are two.

    Args:
        features: (N, features); those that never change count nothing.
        truth: (N,) classes, of two kinds or more.
        penalty: above 0; the larger, the nearer all answers are to the shares of the classes.

    Returns:
        A model whose `predict_proba` gives (M, classes) of features (M, features).

    Raises:
        ValueError: shapes that do not belong together, one class only, a penalty of 0 or less.

    Example:
        >>> model = fit_logistic([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> model.predict_proba([[0.0], [1.5], [3.0]])[:, 1].round(3).tolist()
        [0.002, 0.5, 0.998]
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}; give a number above 0")
    # of two classes scikit-learn fits the difference of their weights, whose square is twice theirs
    double = 2 if len(np.unique(truth)) == 2 else 1
    strength: Any = double / (penalty * max(1, len(np.asarray(truth))))
    regression = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=MOST_STEPS)
    return make_pipeline(StandardScaler(), regression).fit(features, truth)


def _shares(training: Clues, names: Sequence[str], answers: Sequence[str]) -> Numbers:
    """(N, answers) shares of the answers among training images of each name."""
    whole = Counter(training.label)
    counts = {name: Counter[str]() for name in np.asarray(training.clue).tolist()}
    for name, label in zip(np.asarray(training.clue).tolist(), training.label, strict=True):
        counts[name][label] += 1
    found = [counts.get(name, whole) for name in names]
    return np.array([[count[answer] / count.total() for answer in answers] for count in found])
