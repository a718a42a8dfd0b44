# SPDX-License-Identifier: Apache-2.0
"""Confusion matrices, against counts made by hand."""

import numpy as np
import pytest

from medvol.metrics.classes.confusion import (
    class_rates,
    confusion_matrix,
    confusion_rates,
    macro_rates,
)

# 6 cats: 4 found, 1 taken for a dog, 1 for a fox; 3 dogs: 2 found, 1 taken for a cat; 1 fox, missed
MATRIX = np.array([[4, 1, 1], [1, 2, 0], [1, 0, 0]])


def test_matrix_counts_true_rows_and_predicted_columns() -> None:
    truth = [0] * 6 + [1] * 3 + [2]
    predicted = [0, 0, 0, 0, 1, 2, 1, 1, 0, 0]
    assert confusion_matrix(truth, predicted, classes=3).tolist() == MATRIX.tolist()
    assert confusion_matrix([], [], classes=2).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix(truth, predicted, classes=3).dtype == np.int64


def test_rates_of_a_row_add_up_to_one() -> None:
    rates = confusion_rates(MATRIX)
    assert rates[1].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert rates.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert np.isnan(confusion_rates(np.array([[0, 0], [1, 1]]))[0]).all()


def test_figures_of_each_class() -> None:
    rates = class_rates(MATRIX)
    assert rates.precision.tolist() == pytest.approx([4 / 6, 2 / 3, 0])  # taken: 6, 3, 1
    assert rates.recall.tolist() == pytest.approx([4 / 6, 2 / 3, 0])
    assert rates.specificity.tolist() == pytest.approx([2 / 4, 6 / 7, 8 / 9])
    assert rates.f1.tolist() == pytest.approx([8 / 12, 4 / 6, 0])
    assert float(macro_rates(MATRIX).recall) == pytest.approx(4 / 9)


def test_class_never_predicted_has_no_precision_and_counts_zero_in_the_mean() -> None:
    matrix = np.array([[3, 0], [1, 0]])
    rates, mean = class_rates(matrix), macro_rates(matrix)
    assert rates.precision[0] == 0.75
    assert np.isnan(rates.precision[1])
    assert (rates.recall[1], rates.f1[1], rates.specificity[1]) == (0, 0, 1)
    assert float(mean.precision) == 0.375
    assert float(mean.f1) == pytest.approx((6 / 7 + 0) / 2)


def test_class_that_does_not_occur_is_left_out_of_means() -> None:
    matrix = np.array([[3, 1], [0, 0]])
    rates, mean = class_rates(matrix), macro_rates(matrix)
    assert np.isnan(rates.recall[1])
    assert rates.precision.tolist() == [1, 0]
    assert np.isnan(rates.specificity[0])
    assert (float(mean.recall), float(mean.precision)) == (0.75, 1.0)


def test_nothing_at_all_has_no_figure() -> None:
    nothing = np.zeros((2, 2), int)
    assert all(np.isnan(figure) for figure in macro_rates(nothing))


def test_many_matrices_at_once() -> None:
    both = np.stack([MATRIX, np.eye(3, dtype=int)])
    assert macro_rates(both).f1.tolist() == pytest.approx([4 / 9, 1.0])
    assert confusion_rates(both)[:, 0].tolist() == [pytest.approx([4 / 6, 1 / 6, 1 / 6]), [1, 0, 0]]


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ([0, 1], [0], "give \\(N,\\) of both"),
        ([0, 2], [0, 1], "a truth is out of range; give classes from 0 to 1"),
        ([0, 1], [0, -1], "a prediction is out of range"),
    ],
)
def test_refusals(truth: list[int], predicted: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        confusion_matrix(truth, predicted, classes=2)


def test_each_of_many_matrices_has_figures_of_its_own() -> None:
    first = np.array([[3, 1, 0], [0, 2, 0], [0, 1, 0]])  # the third class is never predicted
    second = np.array([[1, 0, 2], [0, 1, 0], [1, 0, 3]])
    together = np.stack([first, second])
    rates, means = class_rates(together), macro_rates(together)
    for index, alone in enumerate((first, second)):
        for many, one in zip(rates, class_rates(alone), strict=True):
            assert many[index].tolist() == pytest.approx(one.tolist(), nan_ok=True)
        for many, one in zip(means, macro_rates(alone), strict=True):
            assert many[index] == pytest.approx(float(one))
    assert rates.recall[0].tolist() == pytest.approx([3 / 4, 1, 0])
    assert means.precision.tolist() == pytest.approx([(1 + 1 / 2 + 0) / 3, (1 / 2 + 1 + 3 / 5) / 3])
