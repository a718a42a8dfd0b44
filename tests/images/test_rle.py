# SPDX-License-Identifier: Apache-2.0
"""Run lengths worked out by hand, there and back, and strings that are none."""

import numpy as np
import pytest
from refusals import refused_by

from medvol.images.rle import decode_rle, encode_rle

#                 column 0 1 2 3
MASK = np.array([[0, 1, 1, 0],
                 [0, 1, 0, 0],
                 [1, 1, 0, 1]])  # fmt: skip


def test_down_the_columns_as_kaggle_does() -> None:
    # pixels 1-3 are the first column: pixel 3; 4, 5, 6 the second, all marked; 7; 12
    assert encode_rle(MASK) == "3 5 12 1"


def test_along_the_rows() -> None:
    assert encode_rle(MASK, order="C") == "2 2 6 1 9 2 12 1"


@pytest.mark.parametrize(
    ("mask", "text"),
    [(np.zeros((2, 3)), ""), (np.ones((2, 3)), "1 6"), (np.eye(2) * 255, "1 1 4 1")],
    ids=["empty", "full", "255"],
)
def test_empty_and_full_masks(mask: np.ndarray, text: str) -> None:
    assert encode_rle(mask) == text
    assert np.array_equal(decode_rle(text, mask.shape), mask > 0)


def test_minus_one_is_an_empty_mask() -> None:
    assert not decode_rle(" -1 ", (2, 2)).any()


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("seed", range(5))
def test_there_and_back(order: str, seed: int) -> None:
    mask = np.random.default_rng(seed).random((17, 5)) < 0.4
    back = decode_rle(encode_rle(mask, order=order), mask.shape, order=order)
    assert back.dtype == np.uint8
    assert np.array_equal(back, mask)


def test_the_order_matters() -> None:
    assert not np.array_equal(decode_rle(encode_rle(MASK), MASK.shape, order="C"), MASK)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("3", "E_FORMAT"),
        ("3 one", "E_FORMAT"),
        ("3.0 1", "E_FORMAT"),
        ("3,1", "E_FORMAT"),
        ("-1 3", "E_FORMAT"),
        ("٣ 1", "E_FORMAT"),  # a digit, but none that a program writes
        ("0 1", "E_CORRUPT"),
        ("3 0", "E_CORRUPT"),
        ("3 2 4 1", "E_CORRUPT"),
        ("5 1 3 1", "E_CORRUPT"),
        ("12 2", "E_CORRUPT"),
        ("1 99999999999999999999", "E_CORRUPT"),
    ],
)
def test_what_is_no_encoding_is_refused(text: str, code: str) -> None:
    error = refused_by(lambda: decode_rle(text, (3, 4), path="train.csv"), code)
    assert error.path == "train.csv"


def test_runs_that_touch_are_read() -> None:
    assert decode_rle("1 2 3 1", (2, 2)).tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize("order", ["f", "K", ""])
def test_another_order_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match=r"give 'F' \(columns first\) or 'C'"):
        encode_rle(MASK, order=order)  # type: ignore[arg-type]


def test_a_volume_is_refused() -> None:
    with pytest.raises(ValueError, match=r"give \(rows, columns\)"):
        encode_rle(np.zeros((2, 2, 2)))
