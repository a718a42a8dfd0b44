# SPDX-License-Identifier: Apache-2.0
"""What was measured of a classifier as files for programs: a CSV with a row an image, and JSON."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_csv, write_json
from ..metrics.classes.calibration import SMALLEST
from ..metrics.classes.confounding import Confounding
from ..metrics.classes.evaluation import POSITIVE, ClassEvaluation
from ..metrics.classes.ranking import ThresholdRow, threshold_rows
from ..metrics.intervals import CONFIDENCE_PERCENT, RESAMPLES, SEED, Estimate
from ..text import NOTICE, SIGNIFICANT_DIGITS


def write_predictions(
    path: str | os.PathLike[str], evaluation: ClassEvaluation, *, folder: Path
) -> None:
    """Write `predictions.csv`: one line an image, in the order of the datalist.

    Columns: image, case, patient, truth, predicted, `probability_<class>` for each class with
    spaces as underscores, loss, notes.

    Args:
        path: of the file; appears whole or not at all.
        evaluation: what was measured.
        folder: of the datalist; images below it are named from there on, others in full.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    columns = ["_".join(["probability", *name.split()]) for name in evaluation.names]
    rows = []
    for image in evaluation.cases:
        inside = image.path.is_relative_to(folder)
        shown = image.path.relative_to(folder) if inside else image.path
        names = evaluation.names[image.truth], evaluation.names[image.predicted]
        numbers = [f"{x:.{SIGNIFICANT_DIGITS}g}" for x in (*image.probability, image.loss)]
        rows.append([shown, image.case, image.patient, *names, *numbers, " ".join(image.notes)])
    columns = ["image", "case", "patient", "truth", "predicted", *columns, "loss", "notes"]
    write_csv(path, columns, rows)


def write_class_metrics(
    path: str | os.PathLike[str],
    evaluation: ClassEvaluation,
    *,
    bundle: Mapping[str, Any],
    protocol: Mapping[str, Any],
    confounding: Confounding | None = None,
) -> None:
    """Write `metrics.json`: all figures with intervals, refusals, and how it was measured.

    Args:
        path: of the file; appears whole or not at all.
        evaluation: what was measured.
        bundle: name, version, checksum of the weights.
        protocol: which data, which part, how it was run.
        confounding: None where it was not tested.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    record = {
        "notice": NOTICE,
        "bundle": dict(bundle),
        "protocol": dict(protocol),
        "class_names": list(evaluation.names),
        "images": len(evaluation.cases),
        "interval": {
            "percent": CONFIDENCE_PERCENT,
            "method": "percentile bootstrap over patients",
            "resamples": RESAMPLES,
            "seed": SEED,
            "patients": evaluation.patients,
        },
        "smallest_probability_of_log_loss": SMALLEST,
        "summary": _figures(evaluation.summary),
        "classes": {name: _figures(figures) for name, figures in evaluation.classes.items()},
        "confusion": {"rows": "truth", "columns": "predicted",
                      "counts": evaluation.confusion.tolist()},
        "calibration": {
            name: {figure: number(value) for figure, value in figures.items()}
            for name, figures in evaluation.calibration.items()
        },
        "tuned": None if (tuned := evaluation.tuned) is None else {
            "temperature": tuned.temperature, "threshold": tuned.threshold,
            "images": tuned.images,
        },
        "thresholds": [_threshold(row) for row in rows_of_thresholds(evaluation)],
        "confounding": None if confounding is None else confounding_record(confounding),
        "refused": [
            {"case": case, "code": error.code, "file": Path(error.path).name,
             "reason": error.reason, "remedy": error.remedy}
            for case, error in evaluation.refused
        ],
    }  # fmt: skip
    write_json(path, record)


def rows_of_thresholds(evaluation: ClassEvaluation) -> list[ThresholdRow]:
    """What thresholds on the second of two classes do, also the chosen one; none of more classes.

    From the lowest to the highest.
    """
    if len(evaluation.names) != POSITIVE + 1:
        return []
    score, truth = evaluation.probability[:, POSITIVE], evaluation.truth
    rows = threshold_rows(score, truth)
    chosen = evaluation.tuned.threshold if evaluation.tuned else None
    if chosen is not None:
        rows += threshold_rows(score, truth, [chosen])
    return sorted(set(rows))


def confounding_record(confounding: Confounding) -> dict[str, Any]:
    """The confounding test as JSON has it."""
    return {
        "training_images": confounding.training,
        "measured_images": confounding.measured,
        "left_out_as_their_patient_is_measured": confounding.shared,
        "unreadable": confounding.unreadable,
        "predictions": [
            {**row._asdict(), "accuracy": _estimate(row.accuracy), "auc": _estimate(row.auc)}
            for row in confounding.predicted
        ],
    }


def number(value: float) -> float | None:
    """None for what is not defined, as JSON knows no NaN."""
    return None if math.isnan(value) else value


def _figures(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _estimate(estimate) for name, estimate in figures.items()}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: number(value) for name, value in estimate._asdict().items()}


def _threshold(row: ThresholdRow) -> dict[str, float | None]:
    rates = ("sensitivity", "specificity", "precision", "negative_precision")
    return {**row._asdict(), **{name: number(getattr(row, name)) for name in rates}}
