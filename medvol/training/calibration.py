# SPDX-License-Identifier: Apache-2.0
"""What is fitted on held-out cases: a bias, Platt scaling, a temperature and a threshold.

Each is a `choice` of a recipe (`medvol.training.recipe`), and reads the table that a measurement
of every fold wrote.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..files import read_csv
from ..metrics.classes.calibration import fit_class_temperature, fit_platt, with_temperature
from ..metrics.classes.ranking import best_threshold
from ..metrics.evaluator import EvaluatorTable, Row
from ..metrics.masks.overlap import dice, overlap_counts
from .recipe import FittedWeights, HeldOutChoice, State

BIASES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # of log odds: 2 makes a class 7.4 times as likely


class BiasOverlaps(EvaluatorTable[list[list[int]]]):
    """A table of the overlap of some classes, taken as one, for each bias of their scores.

    Attach it to an evaluator that gives scores `pred` (classes, *spatial) before softmax, and
    `label` (1, *spatial) on the same grid.

    Args:
        path: of the CSV.
        classes: to whose scores the bias is added.
        biases: that are tried, in log odds.
        inside: dict transform that makes class 0 certain where nothing else can be, such as
            `KeepInsideBodyd("pred")`; None for everywhere else.
    """

    columns = ("case", "bias", "voxels_both", "voxels_predicted", "voxels_true")

    def __init__(
        self,
        path: str | os.PathLike[str],
        classes: Sequence[int],
        *,
        biases: Sequence[float] = BIASES,
        inside: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(path)
        self.classes = list(classes)
        self.biases = [float(bias) for bias in biases]
        self.inside = inside

    def measure(self, item: Mapping[str, Any]) -> list[list[int]]:
        """Voxels in both, predicted, true, for each bias."""
        scores = torch.as_tensor(item["pred"]).detach().cpu().clone()
        if self.inside is not None:
            certain = self.inside({**item, "pred": torch.ones_like(scores)})["pred"][1] == 0
            scores[1:, certain] = -torch.inf
        label = torch.as_tensor(item["label"])[0].cpu()
        return [overlaps(scores, label, self.classes, bias) for bias in self.biases]

    def rows(self) -> Iterator[Row]:
        """A line a case and bias."""
        for case, measured in self.cases:
            for bias, counts in zip(self.biases, measured, strict=True):
                yield case, bias, *counts


def overlaps(scores: Tensor, label: Tensor, classes: Sequence[int], bias: float) -> list[int]:
    """Voxels in both, predicted, true of some classes, when a bias is added to their scores.

    Args:
        scores: (classes, X, Y, Z), or (classes, X, Y), before softmax.
        label: (X, Y, Z), or (X, Y), classes.
        classes: that are taken as one.
        bias: added to their scores, in log odds.

    Returns:
        voxels in both, predicted, true.

    Example:
        >>> scores = torch.tensor([[0.0, 0.0, 0.0], [-1.0, -1.0, -3.0]])
        >>> overlaps(scores, torch.tensor([1, 0, 1]), [1], 0.0)
        [0, 0, 2]
        >>> overlaps(scores, torch.tensor([1, 0, 1]), [1], 2.0)
        [1, 2, 2]
    """
    shifted = scores.clone()
    shifted[list(classes)] += bias
    return [int(n) for n in overlap_counts(shifted.argmax(0), label, list(classes))]


class ClassBias(FittedWeights):
    """A constant that is added to the scores of some classes: the one with the best Dice.

    A network trained on few patients marks too little in new ones. The bias is the one with the
    highest Dice of the held-out cases, pooled within a fold and in the mean over the folds, so
    that no fold counts more for its larger lesions. It becomes part of the last layer's bias.

    Args:
        table: of `BiasOverlaps` in a fold's folder.
        training: whose weights get the bias.
        classes: whose scores it is added to.
        layer: name of the bias in the state dict, one number a class.
    """

    def __init__(self, table: str, *, training: str, classes: Sequence[int], layer: str) -> None:
        self.table = table
        self.trained = training
        self.classes = list(classes)
        self.layer = layer

    def choose(self, folds: Sequence[Path]) -> dict[str, Any]:
        """The bias with the highest Dice, of equal ones the lowest, and the Dice of each."""
        tables = [bias_counts(folder / self.table) for folder in folds]
        biases = list(tables[0])
        counts = torch.tensor([[table[bias] for bias in biases] for table in tables]).double()
        scores = dice(counts).mean(0).tolist()
        best = max(range(len(biases)), key=lambda index: scores[index])
        return {
            "bias": biases[best],
            "dice": {f"{b:g}": round(s, 4) for b, s in zip(biases, scores, strict=True)},
        }

    def applied(self, state: State, chosen: Mapping[str, Any]) -> State:
        """The weights with the bias in the last layer."""
        layer = state[self.layer].clone()
        layer[self.classes] += chosen["bias"]
        return {**state, self.layer: layer}


def bias_counts(path: Path) -> dict[float, list[int]]:
    """Voxels in both, predicted, true of all cases together, by bias, of a `BiasOverlaps` table."""
    counts: dict[float, list[int]] = {}
    for row in read_csv(path):
        own = [int(row[column]) for column in BiasOverlaps.columns[2:]]
        before = counts.get(float(row["bias"]), [0, 0, 0])
        counts[float(row["bias"])] = [a + b for a, b in zip(before, own, strict=True)]
    return counts


class PlattScaling(FittedWeights):
    """Slope and offset of log odds, so that the probability of a slice is calibrated.

    Args:
        table: of `SliceScores` in a fold's folder, of the weights as they were trained.
        training: whose weights get them.
        smallest_mm2: lesion of a positive slice; slices with less, but some, are left out.
        slope, offset: their names in the state dict.
    """

    def __init__(
        self, table: str, *, training: str, smallest_mm2: float,
        slope: str = "slope", offset: str = "offset",
    ) -> None:  # fmt: skip
        self.table = table
        self.trained = training
        self.smallest_mm2 = smallest_mm2
        self.slope = slope
        self.offset = offset

    def choose(self, folds: Sequence[Path]) -> dict[str, Any]:
        """The likeliest slope and offset; see `metrics.classes.calibration.fit_platt`."""
        rows = [r for f in folds for r in slices_of_note(f / self.table, self.smallest_mm2)]
        slope, offset = fit_platt(
            [float(row["log_odds"]) for row in rows],
            [int(float(row["lesion_mm2"]) > 0) for row in rows],
        )
        return {"slope": slope, "offset": offset}

    def applied(self, state: State, chosen: Mapping[str, Any]) -> State:
        """The weights with slope and offset."""
        return {
            **state,
            self.slope: torch.tensor(chosen["slope"]),
            self.offset: torch.tensor(chosen["offset"]),
        }


class OperatingPoint(HeldOutChoice):
    """Temperature and threshold of a classifier of images, by all held-out images together.

    Where each fold holds out pictures taken in ways of their own (`medvol data acquisition`), they
    are chosen as for pictures from elsewhere. The temperature has the least log loss; the threshold
    of the second of two classes the highest sum of sensitivity and specificity. They become the
    parameters `temperature` and `threshold` of the bundle's source.

    Args:
        table: of `outputs.class_table.SaveClasses` with true classes, in a fold's folder.
        training: whose probabilities these are.
    """

    def __init__(self, table: str, *, training: str) -> None:
        self.table = table
        self.trained = training

    def choose(self, folds: Sequence[Path]) -> dict[str, Any]:
        """Both; no threshold where there are more classes, or one alone occurs."""
        probability, truth = true_classes([folder / self.table for folder in folds])
        temperature = fit_class_temperature(probability, truth)
        threshold = float("nan")
        if probability.shape[1] == 2:
            threshold = best_threshold(probability[:, 1], truth)
        if math.isnan(threshold):
            return {"temperature": round(temperature, 3), "threshold": None}
        _, threshold = with_temperature([[1 - threshold, threshold]], temperature)[0]
        return {"temperature": round(temperature, 3), "threshold": round(float(threshold), 4)}

    def changes(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Both parameters; where nothing was chosen, those that change nothing."""
        return {
            "parameters#temperature": chosen.get("temperature", 1.0),
            "parameters#threshold": chosen.get("threshold"),
        }


def true_classes(
    tables: Sequence[Path],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Probabilities (N, classes) and true classes (N,) of tables of `SaveClasses`."""
    rows = [row for table in tables for row in read_csv(table)]
    columns = [name for name in rows[0] if name.startswith("probability_")]
    probability = np.array([[float(row[name]) for name in columns] for row in rows])
    return probability, np.array([int(row["truth"]) for row in rows])


def slices_of_note(path: Path, smallest_mm2: float) -> list[dict[str, str]]:
    """Rows of a `SliceScores` table without the slices of little lesion."""
    return [r for r in read_csv(path) if not 0 < float(r["lesion_mm2"]) < smallest_mm2]
