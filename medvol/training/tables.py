# SPDX-License-Identifier: Apache-2.0
"""The tables that evaluations of several folds wrote, as one with figures of all held-out cases.

Each reader takes a table that a bundle's `evaluate.json` writes: `cases.csv` (masks), of
`metrics.masks.overlap`; `slice_scores.csv` (slices), of `metrics.classes.training`;
`predictions.csv` (images with a class), of `outputs.class_table`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..files import read_csv, write_csv
from ..metrics.classes.calibration import expected_calibration_error, with_temperature
from ..metrics.classes.confusion import class_rates, confusion_matrix, macro_rates
from ..metrics.classes.decision import Decision, decided
from ..metrics.classes.figures import log_likelihood, macro_auc, ranking_estimate
from ..metrics.classes.ranking import roc_auc
from ..metrics.intervals import leave_out
from ..metrics.masks.overlap import summarise
from .calibration import slices_of_note

SUMMARY = ("pooled", "mean")
COUNTS = ("voxels_both", "voxels_predicted", "voxels_true")


def join_cases(tables: Sequence[Path], path: Path) -> dict[str, dict[str, float]]:
    """Join tables of cases, with pooled and mean Dice of all cases below.

    Args:
        tables: `cases.csv` of each fold.
        path: of the joined table.

    Returns:
        "pooled" and "mean", each region to Dice; and "cases_in_mean", to how many have it in truth.
    """
    rows = [row for table in tables for row in read_csv(table) if row["case"] not in SUMMARY]
    regions = list(dict.fromkeys(row["region"] for row in rows))
    names = list(dict.fromkeys(row["case"] for row in rows))
    of = {(row["case"], row["region"]): [float(row[c]) for c in COUNTS] for row in rows}
    counts = torch.tensor([[of[name, region] for region in regions] for name in names]).double()
    scores = dict(zip(SUMMARY, summarise(counts), strict=True))
    figures = {kind: dict(zip(regions, s.tolist(), strict=True)) for kind, s in scores.items()}
    columns = list(rows[0])
    for kind, dice in figures.items():
        rows += [{"case": kind, "region": r, "dice": f"{d:.4f}"} for r, d in dice.items()]
    write_csv(path, columns, [[row.get(column, "") for column in columns] for row in rows])
    there = (counts[..., COUNTS.index("voxels_true")] > 0).sum(0)
    return {**figures, "cases_in_mean": dict(zip(regions, there.tolist(), strict=True))}


class Slices(NamedTuple):
    """Held-out slices that are positive or negative: (N,) probabilities and truth, 0 or 1."""

    probability: npt.NDArray[np.float64]
    truth: npt.NDArray[np.int64]


def join_slices(
    tables: Sequence[Path], path: Path, *, smallest_mm2: float
) -> tuple[Slices, dict[str, Any]]:
    """AUC of the slices of each case, of all together, and how well they are calibrated.

    Args:
        tables: `slice_scores.csv` of each fold.
        path: of the joined table.
        smallest_mm2: lesion of a positive slice; slices with less, but some, are left out.

    Returns:
        The slices; mean AUC over the cases with slices of both kinds, and how many these are,
        pooled AUC with its interval, calibration error.
    """
    rows = [row for table in tables for row in slices_of_note(table, smallest_mm2)]
    cases = np.array([row["case"] for row in rows])
    odds = np.array([float(row["log_odds"]) for row in rows])
    truth = np.array([int(float(row["lesion_mm2"]) > 0) for row in rows])
    probability = 1 / (1 + np.exp(-odds))
    lines: list[tuple[Any, ...]] = []
    aucs = []
    for case in np.unique(cases):
        own = cases == case
        aucs.append(roc_auc(probability[own], truth[own]))
        lines.append((case, int(own.sum()), int(truth[own].sum()), f"{aucs[-1]:.4f}"))
    pooled = ranking_estimate("auc", probability, truth, leave_out(cases.tolist()))
    mean = float(np.nanmean(aucs)) if np.isfinite(aucs).any() else float("nan")
    for name, auc in (("mean", mean), ("pooled", pooled.value)):
        lines.append((name, len(truth), int(truth.sum()), f"{auc:.4f}"))
    write_csv(path, ("case", "slices", "positive", "auc"), lines)
    error = expected_calibration_error(probability, truth)
    defined = int(np.isfinite(aucs).sum())
    figures = {
        "auc_mean": mean,
        "cases_in_mean": defined,
        "auc_pooled": pooled.record(),
        "calibration_error": error,
    }
    return Slices(probability, truth), figures


def class_figures(
    tables: Sequence[Path],
    items: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    decisions: Sequence[Decision] = (),
) -> dict[str, float]:
    """Figures of images with a class, also within each source that has images of every class.

    Within a source nothing but the disease tells the classes apart, not where an image comes from.

    Args:
        tables: `predictions.csv` of each fold or part.
        items: of the datalist: image, label, and source where it is known.
        names: of the classes.
        decisions: of each table; () for the most probable class of the probabilities as they are.

    Returns:
        accuracy, balanced accuracy, AUC, log loss, and recall and precision of each class.
    """
    known = {str(item["image"]): item for item in items}
    columns = ["_".join(["probability", *name.split()]) for name in names]
    rows, shares, answers = [], [], []
    for table, decision in zip(tables, decisions or [Decision()] * len(tables), strict=True):
        read = read_csv(table)
        given = [[float(row[column]) for column in columns] for row in read]
        if decision.temperature != 1:
            given = with_temperature(given, decision.temperature).tolist()
        rows += read
        shares += given
        answers += decided(given, decision.threshold).tolist()
    probability = np.array(shares)
    true = np.array([known[row["image"]]["label"] for row in rows])
    source = np.array([known[row["image"]].get("source", "") for row in rows])
    matrix = confusion_matrix(true, np.array(answers), classes=len(names))
    figures = {
        "images": len(rows),
        "accuracy": float((np.array(answers) == true).mean()),
        "balanced accuracy": float(macro_rates(matrix).recall),
        "AUC": macro_auc(probability, true),
        "log loss": -log_likelihood(probability, true),
    }
    rates = class_rates(matrix)
    for name, recall, precision in zip(names, rates.recall, rates.precision, strict=True):
        figures |= {f"recall {name}": float(recall), f"precision {name}": float(precision)}
    for name in np.unique(source) if len(np.unique(source)) > 1 else ():
        own = source == name
        if len(np.unique(true[own])) == len(names):
            figures[f"AUC within {name}"] = macro_auc(probability[own], true[own])
    return figures
