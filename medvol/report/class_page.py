# SPDX-License-Identifier: Apache-2.0
"""The page of a classifier's evaluation: figures, what else tells the class, and top losses."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..files import write_text
from ..metrics.classes.confounding import CLASS, SOURCE, Confounding, Predicted
from ..metrics.classes.confusion import confusion_rates
from ..metrics.classes.evaluation import POSITIVE, ClassEvaluation
from ..metrics.intervals import CONFIDENCE_PERCENT, RESAMPLES, Estimate
from .class_tables import rows_of_thresholds
from .html import data_uri, page_environment

UNDEFINED = "not defined"


@dataclass(frozen=True)
class ClassContext:
    """What the page says and shows beside the figures.

    Args:
        title: name of the bundle.
        protocol: name to text: data, part, images, grouping.
        bundle: name to text: name, version, sha256 of the weights.
        files: file beside the page to what it holds.
        remarks: what the reader must know, one sentence each.
        confounding: None where it was not tested.
        curves, reliability: PNGs beside the page; None where there is none.
        tiles: case to the address of its picture, of images with the highest losses.
        attention: whether the tiles show where the network looked.
    """

    title: str
    protocol: Mapping[str, str]
    bundle: Mapping[str, str]
    files: Mapping[str, str]
    remarks: Sequence[str] = ()
    confounding: Confounding | None = None
    curves: Path | None = None
    reliability: Path | None = None
    tiles: Mapping[str, str] = field(default_factory=dict)
    attention: bool = False


class ClueRow(NamedTuple):
    """What tells something, and how well; the first row of a table is the bundle itself."""

    clue: str
    accuracy: str
    auc: str
    own: bool = False


# heading, figure of `metrics.classes.figures`
OF_ALL = (
    ("Accuracy", "accuracy"),
    ("Balanced accuracy", "macro_recall"),
    ("Precision, mean", "macro_precision"),
    ("F1, mean", "macro_f1"),
    ("AUC, mean", "macro_auc"),
    ("Average precision, mean", "macro_average_precision"),
    ("Log loss", "log_loss"),
)
OF_A_CLASS = (
    ("Precision", "precision"),
    ("Recall", "recall"),
    ("Specificity", "specificity"),
    ("F1", "f1"),
    ("AUC", "auc"),
    ("Average precision", "average_precision"),
)


def write_class_page(
    path: str | os.PathLike[str], evaluation: ClassEvaluation, context: ClassContext
) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    page = render_class_page(evaluation, context)
    write_text(path, page)


def render_class_page(evaluation: ClassEvaluation, context: ClassContext) -> str:
    """The page as text; every text is escaped."""
    environment = page_environment()
    environment.filters.update(figure=figure_text, interval=interval_text, data_uri=data_uri)
    confounding = context.confounding
    lines = confounding_lines(evaluation, confounding) if confounding else []
    return environment.get_template("classes.html.j2").render(
        page=context,
        evaluation=evaluation,
        names=evaluation.names,
        of_all=OF_ALL,
        of_a_class=OF_A_CLASS,
        rates=confusion_rates(evaluation.confusion),
        clues=clue_rows(evaluation, confounding) if confounding else {},
        remarks=[*lines, *context.remarks],
        thresholds=rows_of_thresholds(evaluation),
        positive=evaluation.names[POSITIVE],
        worst=[image for image in evaluation.worst_first if image.case in context.tiles],
        percent=f"{CONFIDENCE_PERCENT:g}",
        resamples=f"{RESAMPLES:,}",
        refused=[(case, error, Path(error.path).name) for case, error in evaluation.refused],
    )


def figure_text(value: float) -> str:
    """Three decimals; words where it is not defined."""
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


def interval_text(estimate: Estimate) -> str:
    """The interval: "0.812 to 0.874"; nothing where there is none."""
    if math.isnan(estimate.value) or math.isnan(estimate.low):
        return ""
    return f"{figure_text(estimate.low)} to {figure_text(estimate.high)}"


def clue_rows(
    evaluation: ClassEvaluation, confounding: Confounding
) -> dict[str, tuple[ClueRow, ...]]:
    """Target to a table of what tells it: for the class the bundle itself comes first."""
    tables: dict[str, tuple[ClueRow, ...]] = {}
    for target in (CLASS, SOURCE):
        rows = confounding.of(target)
        if not rows:
            continue
        own = []
        if target == CLASS:
            figures = evaluation.summary
            texts = _with_interval(figures["accuracy"]), _with_interval(figures["macro_auc"])
            own = [ClueRow("the bundle, from the whole image", *texts, own=True)]
        others = [
            ClueRow(row.clue, _with_interval(row.accuracy), _with_interval(row.auc)) for row in rows
        ]
        guess = ClueRow(f"always the most frequent {target}", figure_text(rows[0].guess), "0.500")
        tables[target] = (*own, *others, guess)
    return tables


def confounding_lines(evaluation: ClassEvaluation, confounding: Confounding) -> list[str]:
    """The confounding test in sentences, one a target, for the page and the terminal."""
    if not confounding.predicted:
        return ["What else tells the class was not tested: there is nothing to train on."]
    own = _both(evaluation.summary["accuracy"], evaluation.summary["macro_auc"])
    lines = []
    for target, end in ((CLASS, f"; the bundle has {own}"), (SOURCE, "")):
        rows = confounding.of(target)
        clues = [f"from the {_clue(row)} with {_both(row.accuracy, row.auc)}" for row in rows]
        if clues:
            what = target if target == CLASS else f"{target} (of {rows[0].answers})"
            lines.append(f"The {what} can be predicted {', '.join(clues)}{end}.")
    return lines


def summary_line(evaluation: ClassEvaluation) -> str:
    """One line for the terminal: accuracy and AUC, of how many."""
    figures = evaluation.summary
    return (
        f"accuracy {_with_interval(figures['accuracy'])}, "
        f"AUC {_with_interval(figures['macro_auc'])}; "
        f"images: {len(evaluation.cases)}, patients: {evaluation.patients}"
    )


def tuned_line(evaluation: ClassEvaluation) -> str:
    """One line for the terminal: what was chosen on validation, and what it does here.

    Raises:
        ValueError: nothing was chosen.
    """
    if (tuned := evaluation.tuned) is None:
        raise ValueError("nothing was chosen on a validation part; give an evaluation with `tuned`")
    before, after = (figures["calibration_error"] for figures in evaluation.calibration.values())
    line = (
        f"calibration error {figure_text(before)}, with temperature {tuned.temperature:.2f} "
        f"{figure_text(after)}"
    )
    for row in rows_of_thresholds(evaluation):
        if row.threshold == tuned.threshold:
            line += (
                f"; threshold {row.threshold:.3f}: sensitivity {figure_text(row.sensitivity)}, "
                f"specificity {figure_text(row.specificity)}"
            )
    return line


def _clue(row: Predicted) -> str:
    return f"image {row.clue}" if row.clue.startswith("without") else f"{row.clue} alone"


def _both(accuracy: Estimate, auc: Estimate) -> str:
    return f"AUC {figure_text(auc.value)} and accuracy {figure_text(accuracy.value)}"


def _with_interval(estimate: Estimate) -> str:
    interval = interval_text(estimate)
    return figure_text(estimate.value) + (f" ({interval})" if interval else "")
