# SPDX-License-Identifier: Apache-2.0
"""What was measured as files for programs: a CSV with a row a case and region, and JSON."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_csv, write_json
from ..metrics.intervals import CONFIDENCE_PERCENT, RESAMPLES, SEED, Estimate
from ..metrics.masks.comparison import EMPTY_RULE
from ..metrics.masks.evaluation import MaskEvaluation
from ..text import NOTICE, SIGNIFICANT_DIGITS


def write_metrics_csv(path: str | os.PathLike[str], evaluation: MaskEvaluation) -> None:
    """Write `metrics.csv`: one line a case and region, empty where a figure is not defined.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    rows: list[dict[str, object]] = [
        {"case": case.case, "patient": case.patient, "fold": case.fold, "region": region,
         **figures.row()}
        for case in evaluation.cases
        for region, figures in case.regions.items()
    ]  # fmt: skip
    write_csv(path, list(rows[0]), [[_digits(value) for value in row.values()] for row in rows])


def write_metrics_json(
    path: str | os.PathLike[str],
    evaluation: MaskEvaluation,
    *,
    bundle: Mapping[str, Any],
    protocol: Mapping[str, Any],
) -> None:
    """Write `metrics.json`: summary with intervals, every case, refusals, and how it was measured.

    Args:
        path: of the file; appears whole or not at all.
        evaluation: what was measured.
        bundle: name, version, checksum of the weights.
        protocol: which data, which fold, how it was run.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    record = {
        "notice": NOTICE,
        "bundle": dict(bundle),
        "protocol": dict(protocol),
        "tolerance_mm": evaluation.measure.tolerance_mm,
        "smallest_lesion_ml": evaluation.measure.smallest_lesion_ml,
        "empty_masks": EMPTY_RULE,
        "interval": {
            "percent": CONFIDENCE_PERCENT,
            "method": "percentile bootstrap over patients",
            "resamples": RESAMPLES,
            "seed": SEED,
            "patients": evaluation.patients,
        },
        "summary": {
            region: {name: _estimate(estimate) for name, estimate in figures.items()}
            for region, figures in evaluation.summary.items()
        },
        "cases": [
            {
                "case": case.case,
                "patient": case.patient,
                "fold": case.fold,
                "seconds": None if case.seconds is None else round(case.seconds, 3),
                "notes": list(case.notes),
                "regions": {region: figures.row() for region, figures in case.regions.items()},
            }
            for case in evaluation.cases
        ],
        "refused": [
            {
                "case": case,
                "code": error.code,
                "file": Path(error.path).name,
                "reason": error.reason,
                "remedy": error.remedy,
            }
            for case, error in evaluation.refused
        ],
    }
    write_json(path, record)


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    numbers = estimate._asdict()
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}


def _digits(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else value
