# SPDX-License-Identifier: Apache-2.0
"""How well something that should not matter tells a class: the border of an image, its source.

A classifier may learn the hospital, the scanner or the age instead of the disease. Where the class
can be told from the border of an image as well as from the whole, its figures say little.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .bootstrap import Draws, Estimate, Numbers, draw_patients
from .class_figures import all_figures
from .logistic import fit_logistic

CLASS, SOURCE = "class", "source"  # what is told; keys of an item
NAME_ALONE = "name of the source"  # a clue, beside the regions of `transforms.surroundings`


class Cases(NamedTuple):
    """What is known of each image of a part, all in one order.

    Args:
        label: what is to be told, such as the name of the class.
        patient: images of one person share it.
    """

    label: Sequence[str]
    patient: Sequence[str]


class Told(NamedTuple):
    """How well one thing is told from another.

    Args:
        target: what is told: "class" or "source".
        clue: from what, such as "border".
        accuracy, auc: on the part that is measured; AUC of each against the rest, mean.
        guess: accuracy of always giving the answer that is most frequent in training.
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
    """What was told from where.

    Args:
        told: one row a target and clue.
        training: how many images the simple classifiers were fitted on.
        measured: how many they were measured on.
        shared: training images left out because their patient is in the measured part.
        unreadable: images left out because they could not be read.
    """

    told: tuple[Told, ...]
    training: int
    measured: int
    shared: int
    unreadable: int

    def row(self, target: str, clue: str) -> Told | None:
        """The row of this target and clue; None where there was nothing to tell."""
        return next((x for x in self.told if (x.target, x.clue) == (target, clue)), None)


def told_by_features(
    names: tuple[str, str],
    training: tuple[npt.ArrayLike, Cases],
    measured: tuple[npt.ArrayLike, Cases],
) -> Told | None:
    """Fit a logistic regression on the training part and measure it on another.

    Args:
        names: target and clue, for the result.
        training: features (N, features) and what is known of each image.
        measured: the same of the part that figures are given of. Images whose label does not occur
            in training are left out: nothing could have told them.

    Returns:
        None where there is nothing to tell: fewer than two labels in training, or no image left.
    """
    features, cases = training
    answers = sorted(set(cases.label))
    known = np.flatnonzero(np.isin(np.asarray(measured[1].label, dtype=object), answers))
    if len(answers) < 2 or not len(known):
        return None
    truth = [answers.index(label) for label in cases.label]
    model = fit_logistic(features, truth, classes=len(answers))
    probability = model.probability(np.asarray(measured[0])[known])
    return _told(names, answers, cases, _taken(measured[1], known), probability)


def told_by_name(
    names: tuple[str, str],
    training: tuple[Sequence[str], Cases],
    measured: tuple[Sequence[str], Cases],
) -> Told | None:
    """Give each image the shares of the labels among training images of the same name.

    Args:
        names: target and clue, for the result.
        training: a name of each image, such as its source, and what is known of it.
        measured: the same; a name that is not in training has the shares of all.

    Returns:
        None as for `told_by_features`.
    """
    keys, cases = training
    answers = sorted(set(cases.label))
    known = np.flatnonzero(np.isin(np.asarray(measured[1].label, dtype=object), answers))
    if len(answers) < 2 or not len(known):
        return None
    shares = {key: Counter[str]() for key in keys}
    for key, label in zip(keys, cases.label, strict=True):
        shares[key][label] += 1
    whole = Counter(cases.label)
    counts = [shares.get(measured[0][index], whole) for index in known.tolist()]
    probability = np.array([[count[a] / count.total() for a in answers] for count in counts])
    return _told(names, answers, cases, _taken(measured[1], known), probability)


def _told(
    names: tuple[str, str],
    answers: list[str],
    training: Cases,
    measured: Cases,
    probability: Numbers,
) -> Told:
    truth = np.array([answers.index(label) for label in measured.label])
    draws: Draws = draw_patients(measured.patient)
    figures = all_figures(probability, truth, draws)
    ((usual, _),) = Counter(training.label).most_common(1)
    guess = float(np.mean([label == usual for label in measured.label]))
    return Told(*names, figures["accuracy"], figures["macro_auc"], guess, len(answers))


def _taken(cases: Cases, index: npt.NDArray[np.int64]) -> Cases:
    return Cases(*([column[i] for i in index.tolist()] for column in cases))
