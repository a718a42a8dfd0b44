# SPDX-License-Identifier: Apache-2.0
"""Which classes are taken for which: the confusion matrix and the figures that it gives.

A matrix is (..., classes, classes): how many images of each true class (row) were taken for each
class (column). Leading axes are sets of images. A figure that has no meaning is NaN: recall of
a class that does not occur, precision of a class that is never predicted.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..intervals import Numbers, mean_defined, ratio

Matrix = npt.NDArray[Any]


class ClassRates(NamedTuple):
    """Figures of each class against all others.

    Args:
        precision: (..., classes) share of the images taken for the class that are of it.
        recall: (..., classes) share of the images of the class that were found; also sensitivity.
        specificity: (..., classes) share of the images of other classes not taken for it.
        f1: (..., classes) twice the hits, over images of the class and images taken for it; NaN
            where there is neither.
    """

    precision: Numbers
    recall: Numbers
    specificity: Numbers
    f1: Numbers


def confusion_matrix(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, *, classes: int
) -> npt.NDArray[np.int64]:
    """How many images of each true class (row) were taken for each class (column).

    Args:
        truth: (N,) 0 to classes - 1.
        predicted: (N,) the same.
        classes: how many there are, also such as do not occur.

    Raises:
        ValueError: different lengths, or a class out of range.

    Example:
        >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], classes=2).tolist()
        [[1, 1], [0, 2]]
    """
    true, taken = np.asarray(truth), np.asarray(predicted)
    if true.shape != taken.shape or true.ndim != 1:
        raise ValueError(f"{true.shape} truths and {taken.shape} predictions; give (N,) of both")
    for values, what in ((true, "truth"), (taken, "prediction")):
        if not np.isin(values, np.arange(classes)).all():
            raise ValueError(f"a {what} is out of range; give classes from 0 to {classes - 1}")
    cells = true.astype(np.int64) * classes + taken.astype(np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def confusion_rates(matrix: Matrix) -> Numbers:
    """Share of the images of each true class; a row adds up to 1, or is NaN without images.

    Args:
        matrix: (..., classes, classes); so are the shares.

    Example:
        >>> confusion_rates(np.array([[1, 3], [0, 2]])).tolist()
        [[0.25, 0.75], [0.0, 1.0]]
    """
    return np.asarray(ratio(matrix, matrix.sum(-1, keepdims=True)))


def class_rates(matrix: Matrix) -> ClassRates:
    """Precision, recall, specificity and F1 of each class against all others.

    Args:
        matrix: (..., classes, classes).
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true, taken = matrix.sum(-1), matrix.sum(-2)
    others = true.sum(-1, keepdims=True) - true
    return ClassRates(
        precision=ratio(hits, taken),
        recall=ratio(hits, true),
        specificity=ratio(others - (taken - hits), others),
        f1=ratio(2 * hits, true + taken),
    )


def macro_rates(matrix: Matrix) -> ClassRates:
    """The figures of `class_rates` in the mean over the classes that occur, each (...).

    A class that occurs and is never predicted counts as precision 0, as it does in F1: to leave it
    out would reward a network that ignores a class. Recall is also called balanced accuracy.
    """
    rates, occurs = class_rates(matrix), matrix.sum(-1) > 0
    known = rates._replace(precision=np.nan_to_num(rates.precision))
    return ClassRates(*(mean_defined(np.where(occurs, x, np.nan), axis=-1) for x in known))
