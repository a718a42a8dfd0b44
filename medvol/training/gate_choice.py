# SPDX-License-Identifier: Apache-2.0
"""Which of several gates of a cascade is the best, and at which probability it lets a slice pass.

A `choice` of a recipe (`medvol.training.recipe`), made on the slices that the folds held out.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..files import read_csv, write_csv
from ..metrics.classes.ranking import roc_auc
from ..metrics.evaluator import EvaluatorTable, Row
from ..metrics.intervals import leave_out, median_estimate, ratio_estimate
from ..slices import passing_slices
from .recipe import ChosenTraining

SENSITIVITY = 0.98  # of slices, on the patients that choose the threshold
THRESHOLDS = np.round(np.arange(0.01, 0.96, 0.01), 2)
Slices = list[dict[str, str]]


class SliceOverlaps(EvaluatorTable[list[list[int]]]):
    """A table of the pixels of every slice that are marked, in truth, by the network, by both.

    Attach it to an evaluator whose post-processing gives label maps `pred` and `label`
    (1, X, Y, Z) on one grid, slices from feet to head.

    Args:
        path: of the CSV.
    """

    columns = ("case", "slice", "true", "predicted", "both")

    def measure(self, item: Mapping[str, Any]) -> list[list[int]]:
        """Pixels in truth, predicted, in both, of each slice."""
        true, predicted = (torch.as_tensor(item[key])[0].cpu() > 0 for key in ("label", "pred"))
        counts = [mask.sum((0, 1)) for mask in (true, predicted, true & predicted)]
        return torch.stack(counts, 1).tolist()

    def rows(self) -> Iterator[Row]:
        """A line a slice."""
        for case, slices in self.cases:
            yield from ((case, index, *counts) for index, counts in enumerate(slices))


class SliceProbabilities(EvaluatorTable[list[float]]):
    """A table of the probability that a gate gives each slice.

    Attach it to an evaluator whose post-processing gives probabilities `pred` (2, Z).

    Args:
        path: of the CSV.
    """

    columns = ("case", "slice", "probability")

    def measure(self, item: Mapping[str, Any]) -> list[float]:
        """Probability of a finding in each slice."""
        return item["pred"][1].tolist()

    def rows(self) -> Iterator[Row]:
        """A line a slice."""
        for case, slices in self.cases:
            yield from ((case, index, f"{p:.4f}") for index, p in enumerate(slices))


class GateChoice(ChosenTraining):
    """The gate with the highest AUC of slices, and the highest threshold that misses little.

    The threshold is the highest that lets `sensitivity` of the slices with a finding pass, and a
    slice of each case that has one; the lowest where none does.

    Args:
        segmenter: path of the table of `SliceOverlaps` in a fold's folder.
        gates: training to the path of its table of `SliceProbabilities`.
        margin: slices that the cascade adds at both ends of a run that passes; of several the one
            that stops most slices without a finding.
        gap: slices between two runs that become one.
        sensitivity: 0 to 1.
        threshold_id, margin_id: ids of both in `inference.json`.
    """

    def __init__(
        self,
        segmenter: str,
        gates: Mapping[str, str],
        *,
        margin: int | Sequence[int],
        gap: int,
        sensitivity: float = SENSITIVITY,
        threshold_id: str = "gate_threshold",
        margin_id: str = "gate_margin",
    ) -> None:
        self.segmenter = segmenter
        self.gates = dict(gates)
        self.margins = [margin] if isinstance(margin, int) else list(margin)
        self.gap = gap
        self.sensitivity = sensitivity
        self.threshold_id = threshold_id
        self.margin_id = margin_id

    def choose(self, folds: Sequence[Path]) -> dict[str, Any]:
        """Name of the gate, its threshold and margin."""
        gate = max(self._gates(folds), key=lambda row: row[2])[0]
        cases = [case for folder in folds for case in by_case(self._slices(folder))]
        options = [
            {"gate": gate, "threshold": self._threshold(cases, gate, margin), "margin": margin}
            for margin in self.margins
        ]
        return max(options, key=lambda option: self._stopped(cases, **option))

    def changes(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The threshold and the margin."""
        ids = {"threshold": self.threshold_id, "margin": self.margin_id}
        return {f"inference#{own}": chosen[key] for key, own in ids.items() if key in chosen}

    def training(self, chosen: Mapping[str, Any]) -> str:
        """The gate."""
        return str(chosen["gate"])

    def summarise(
        self, folds: Sequence[Path], patients: Mapping[str, str], folder: Path
    ) -> dict[str, Any]:
        """Write `gates.csv` and `cross_validation.csv`; Dice with intervals, which slices pass.

        Args:
            folds, patients, folder: as for `ChosenTraining.summarise`.
        """
        gates = self._gates(folds)
        write_csv(folder / "gates.csv", ("gate", "slices", "auc"), gates)
        cases = []
        for own in folds:
            chosen = self.choose([other for other in folds if other != own])
            for slices in by_case(self._slices(own)):
                case = {"case": slices[0]["case"], "fold": own.name.removeprefix("fold")}
                cases.append(case | chosen | self._figures(slices, **chosen))
        write_csv(folder / "cross_validation.csv", list(cases[0]), [[*c.values()] for c in cases])
        summary: dict[str, Any] = {"gates": {name: auc for name, _, auc in gates}}
        left_out = leave_out([patients[case["case"]] for case in cases])
        true = np.array([case["true"] for case in cases], float)
        for name, ending in (("dice", ""), ("dice_plain", "_plain")):
            figure, both, predicted = (
                np.array([case[key + ending] for case in cases], float)
                for key in ("dice", "both", "predicted")
            )
            summary[name] = {
                "mean": ratio_estimate(figure, np.ones(len(figure)), left_out).record(),
                "median": median_estimate(figure, left_out).record(),
                "pooled": ratio_estimate(2 * both, predicted + true, left_out).record(),
            }
        passed = sum(case["passed_positive"] for case in cases)
        stopped = sum(case["stopped_negative"] for case in cases)
        summary["sensitivity"] = passed / sum(case["positive_slices"] for case in cases)
        summary["specificity"] = stopped / sum(case["negative_slices"] for case in cases)
        summary["cases_found"] = sum(case["passed_positive"] > 0 for case in cases)
        return {**summary, "cases": len(cases)}

    def _gates(self, folds: Sequence[Path]) -> list[tuple[str, int, str]]:
        """Name, slices and AUC of every gate."""
        slices = [row for folder in folds for row in self._slices(folder)]
        truth = [int(row["true"]) > 0 for row in slices]
        aucs = {gate: roc_auc([float(row[gate]) for row in slices], truth) for gate in self.gates}
        return [(gate, len(slices), f"{auc:.4f}") for gate, auc in aucs.items()]

    def _slices(self, folder: Path) -> Slices:
        """A row a slice of a fold's held-out cases: pixels, and the probability of every gate."""
        rows = read_csv(folder / self.segmenter)
        for gate, table in self.gates.items():
            given = {(r["case"], r["slice"]): r["probability"] for r in read_csv(folder / table)}
            rows = [{**row, gate: given[row["case"], row["slice"]]} for row in rows]
        return rows

    def _stopped(self, cases: Sequence[Slices], gate: str, threshold: float, margin: int) -> int:
        """Slices without a finding that do not pass."""
        figures = (self._figures(slices, gate, threshold, margin) for slices in cases)
        return sum(row["stopped_negative"] for row in figures)

    def _threshold(self, cases: Sequence[Slices], gate: str, margin: int) -> float:
        good = [THRESHOLDS[0]]
        for threshold in THRESHOLDS:
            passed = [self._figures(slices, gate, threshold, margin) for slices in cases]
            found = sum(row["passed_positive"] for row in passed)
            if found >= self.sensitivity * sum(row["positive_slices"] for row in passed) and all(
                row["passed_positive"] > 0 for row in passed if row["positive_slices"]
            ):
                good.append(threshold)
        return float(good[-1])

    def _figures(self, slices: Slices, gate: str, threshold: float, margin: int) -> dict[str, Any]:
        """One case behind the gate, and without it (`_plain`)."""
        true, predicted, both = (
            np.array([int(row[key]) for row in slices]) for key in ("true", "predicted", "both")
        )
        score: npt.NDArray[np.float64] = np.array([float(row[gate]) for row in slices])
        passes = passing_slices(score, threshold, margin=margin, gap=self.gap)
        marked = true > 0
        return {
            "dice": _dice(both[passes].sum(), predicted[passes].sum() + true.sum()),
            "dice_plain": _dice(both.sum(), predicted.sum() + true.sum()),
            "true": int(true.sum()), "predicted": int(predicted[passes].sum()),
            "both": int(both[passes].sum()), "predicted_plain": int(predicted.sum()),
            "both_plain": int(both.sum()), "slices": len(slices),
            "positive_slices": int(marked.sum()), "passed_positive": int((marked & passes).sum()),
            "negative_slices": int((~marked).sum()),
            "stopped_negative": int((~marked & ~passes).sum()),
        }  # fmt: skip


def by_case(slices: Slices) -> list[Slices]:
    """The slices of each case, cases in the order of the table."""
    cases: dict[str, Slices] = {}
    for row in slices:
        cases.setdefault(row["case"], []).append(row)
    return list(cases.values())


def _dice(both: int, voxels: int) -> float:
    """NaN where nothing is marked and nothing is true: such a case is left out of the mean."""
    return float(2 * both / voxels) if voxels else float("nan")
