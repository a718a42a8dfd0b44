# SPDX-License-Identifier: Apache-2.0
"""What the page of an evaluation says of classes: figures, what else predicts them, top losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..metrics.classes.calibration import NO_INTERVAL
from ..metrics.classes.confounding import CLASS, Predicted
from ..metrics.classes.confusion import confusion_rates
from ..metrics.classes.evaluation import ClassEvaluation
from ..metrics.intervals import Estimate
from ..text import decimals
from .evaluation import Content

# heading, figure of `metrics.classes.figures`
OF_ALL = {
    "Accuracy": "accuracy",
    "Balanced accuracy": "macro_recall",
    "Precision, mean": "macro_precision",
    "F1, mean": "macro_f1",
    "AUC, mean": "macro_auc",
    "Average precision, mean": "macro_average_precision",
    "Log loss": "log_loss",
}
OF_A_CLASS = {
    "Precision": "precision",
    "Recall": "recall",
    "Specificity": "specificity",
    "F1": "f1",
    "AUC": "auc",
    "Average precision": "average_precision",
}

figure = partial(decimals, places=3, missing="not defined")


@dataclass(frozen=True)
class ClassPictures:
    """Pictures of an evaluation of classes.

    Args:
        curves, reliability: PNGs beside the page; None where there is none.
        tiles: case to the address of its picture, of images with the highest losses.
        attention: whether the tiles show where the network looked.
    """

    curves: Path | None = None
    reliability: Path | None = None
    tiles: Mapping[str, str] = field(default_factory=dict)
    attention: bool = False


def class_content(evaluation: ClassEvaluation, pictures: ClassPictures) -> Content:
    """What the page of an evaluation of classes says."""
    values = {
        "pictures": pictures,
        "figure": figure,
        "of_all": OF_ALL,
        "columns": [(words, name, figure) for words, name in OF_ALL.items()],
        "of_a_class": OF_A_CLASS,
        "clues": evaluation.confounding.targets if evaluation.confounding else {},
        "no_interval": NO_INTERVAL,
        "rates": confusion_rates(evaluation.confusion).tolist(),
    }
    return Content("class_evaluation.html.j2", values, confounding_lines(evaluation))


def confounding_lines(evaluation: ClassEvaluation) -> list[str]:
    """The confounding test in sentences, one a target, for the page and the terminal."""
    if (confounding := evaluation.confounding) is None:
        return []
    if not confounding.predicted:
        return ["What else predicts the class was not tested: there is nothing to train on."]
    own = _both(evaluation.summary["accuracy"], evaluation.summary["macro_auc"])
    lines = []
    for target, rows in confounding.targets.items():
        clues = [f"from the {_clue(row)} with {_both(row.accuracy, row.auc)}" for row in rows]
        what, end = f"{target} (of {rows[0].answers})", ""
        if target == CLASS:
            what, end = target, f"; the bundle has {own}"
        lines.append(f"The {what} can be predicted {', '.join(clues)}{end}.")
    return lines


def summary_line(evaluation: ClassEvaluation) -> str:
    """One line for the terminal: accuracy and AUC, of how many."""
    accuracy, auc = (evaluation.summary[name].words(figure) for name in ("accuracy", "macro_auc"))
    return (
        f"accuracy {accuracy}, AUC {auc}; "
        f"{evaluation.noun}s: {len(evaluation.cases)}, patients: {evaluation.patients}"
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
        f"calibration error {figure(before)}, with temperature {tuned.temperature:.2f} "
        f"{figure(after)}"
    )
    for row in evaluation.thresholds:
        if row.threshold == tuned.threshold:
            line += (
                f"; threshold {row.threshold:.3f}: sensitivity {figure(row.sensitivity)}, "
                f"specificity {figure(row.specificity)}"
            )
    return line


def _clue(row: Predicted) -> str:
    return f"image {row.clue}" if row.clue.startswith("without") else f"{row.clue} alone"


def _both(accuracy: Estimate, auc: Estimate) -> str:
    return f"AUC {figure(auc.value)} and accuracy {figure(accuracy.value)}"
