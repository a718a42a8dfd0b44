# SPDX-License-Identifier: Apache-2.0
"""A table of what a classifier says of the slices of labelled volumes, while an evaluator runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from .evaluator_table import EvaluatorTable, Row


def log_odds(probabilities: Tensor) -> Tensor:
    """Log odds of a finding, (Z,), of probabilities (2, Z), class 0 is none.

    Example:
        >>> log_odds(torch.tensor([[0.5, 0.2], [0.5, 0.8]])).exp().tolist()
        [1.0, 4.0]
    """
    return probabilities[1].log() - probabilities[0].log()


class SliceScores(EvaluatorTable[list[tuple[float, float]]]):
    """Write score and area of lesion of every slice an evaluator sees, as a CSV.

    Attach it to an evaluator whose post-processing gives probabilities `pred` (2, Z) and `label`
    (Z,) in mm^2. Slices are those of the network's input, 0 is nearest the feet.

    Args:
        path: of the CSV.
    """

    columns = ("case", "slice", "log_odds", "lesion_mm2")

    def measure(self, item: Mapping[str, Any]) -> list[tuple[float, float]]:
        odds = log_odds(item["pred"]).tolist()
        return list(zip(odds, item["label"].tolist(), strict=True))

    def rows(self) -> Iterator[Row]:
        for case, slices in self.cases:
            for index, (odds, mm2) in enumerate(slices):
                yield case, index, f"{odds:.5f}", f"{mm2:.2f}"
