# SPDX-License-Identifier: Apache-2.0
"""Which class an image counts as: the most probable one, or the second from a threshold on."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Decision(NamedTuple):
    """What was chosen for a classifier on images that it was not trained on.

    Args:
        temperature: above 0, by which the network's scores are divided before softmax.
        threshold: of the probability of the second of two classes, above 0 and below 1; None where
            the most probable class is the answer.
    """

    temperature: float = 1.0
    threshold: float | None = None

    @classmethod
    def from_metadata(cls, entry: Any) -> "Decision":
        """What a bundle's metadata say.

        Args:
            entry: object with `temperature`, and perhaps `threshold`.

        Raises:
            KeyError, TypeError, ValueError: it is none, or a number is out of range.

        Example:
            >>> Decision.from_metadata({"temperature": 1.5, "threshold": 0.4})
            Decision(temperature=1.5, threshold=0.4)
        """
        temperature, threshold = float(entry["temperature"]), entry.get("threshold")
        if not temperature > 0 or (threshold is not None and not 0 < float(threshold) < 1):
            raise ValueError(f"temperature {temperature:g}, threshold {threshold} are out of range")
        return cls(temperature, None if threshold is None else float(threshold))

    def in_words(self, names: "tuple[str, ...]") -> str:
        """How the class is chosen.

        Args:
            names: of the classes.

        Example:
            >>> Decision(threshold=0.4).in_words(("normal", "pneumonia"))
            'pneumonia from a probability of 0.40 on'
        """
        if self.threshold is None:
            return "the most probable class"
        return f"{names[1]} from a probability of {self.threshold:.2f} on"


def decided(probability: npt.ArrayLike, threshold: float | None = None) -> npt.NDArray[np.int64]:
    """Number of the class that each image counts as.

    Args:
        probability: (..., classes).
        threshold: from which the second of two classes is the answer; None for the most probable
            class, of equal ones the first.

    Returns:
        (...,) numbers.

    Raises:
        ValueError: a threshold for another number of classes than two.

    Example:
        >>> decided([[0.7, 0.3], [0.4, 0.6]]).tolist(), decided([0.7, 0.3], 0.3).tolist()
        ([0, 1], 1)
    """
    table = np.asarray(probability)
    if threshold is None:
        return np.asarray(table.argmax(-1), np.int64)
    if table.shape[-1] != 2:
        raise ValueError(f"threshold is {threshold} for {table.shape[-1]} classes; give None")
    return np.asarray(table[..., 1].astype(np.float32) >= np.float32(threshold), np.int64)
