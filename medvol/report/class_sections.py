# SPDX-License-Identifier: Apache-2.0
"""What the page of an evaluation says of classes: figures, what else predicts them, top losses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..metrics.classes.confounding import CLASS, SOURCE, Predicted
from ..metrics.classes.confusion import confusion_rates
from ..metrics.classes.evaluation import POSITIVE, ClassCase, ClassEvaluation
from ..metrics.classes.ranking import ThresholdRow
from ..metrics.intervals import CONFIDENCE_PERCENT, Estimate
from ..text import NONE
from .evaluation import (
    Cell,
    Content,
    Headline,
    Part,
    Picture,
    Row,
    Section,
    Table,
    Text,
    Tile,
    Tiles,
)
from .html import data_uri

UNDEFINED = "not defined"
RIGHT, WRONG = "66 133 90", "200 60 40"  # shades of the confusion matrix
MOST_SHADE_PERCENT = 55
TILE_WIDTH = 230  # pixels; twice as much beside a map of attention
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
RULES = {
    "Class": "The most probable one; of equal ones the first. A figure of a class takes all other "
    "classes as one.",
    "Precision": "Share of the images taken for a class that are of it; not defined for a class "
    "that is never predicted, which counts as 0 in the mean. Recall (sensitivity): share of the "
    "images of a class that were found. Specificity: share of the others that were not taken for "
    "it. F1: twice the hits over images of the class and images taken for it. Means are over the "
    "classes that occur; balanced accuracy is mean recall.",
    "AUC": "How often an image of the class gets a higher probability for it than one of the "
    "others; equal ones count half. Average precision: sum of the steps of recall, each times its "
    "precision.",
    "Log loss": "Less the logarithm of the probability of the true class, in the mean over images.",
    "Calibration": "Expected calibration error: distance between the probability of the predicted "
    "class and how often it is right, in ten bins of equal width, weighted by images.",
}
CONFOUNDING_RULE = (
    "A logistic regression on mean and standard deviation of grey in fields of a sixteenth of the "
    "picture's sides, fitted on {training} images of the training part and measured on {measured}. "
    "Border: the outermost fields. Without the lungs: the fields above, below and beside a fixed "
    "box over the lungs. Name of the source: the shares of the classes among training images of "
    "the same source. Where these do as well as the bundle, its figures may be those of the "
    "collection, not of the disease."
)


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
    """Sections of the page of an evaluation of classes.

    Raises:
        OSError: a picture cannot be read.
    """
    two, noun = len(evaluation.names) == POSITIVE + 1, evaluation.noun
    summary = evaluation.summary
    words = {"accuracy": "accuracy", "macro_auc": "AUC" if two else "AUC, mean of the classes"}
    sections = [
        _together(evaluation),
        *_clue_sections(evaluation),
        _confusion(evaluation),
        _each_class(evaluation),
    ]
    if pictures.curves is not None:
        sections.append(_ranking(evaluation, pictures.curves))
    if evaluation.thresholds:
        sections.append(_thresholds(evaluation))
    sections.append(_calibration(evaluation, pictures.reliability))
    if pictures.tiles:
        sections.append(_losses(evaluation, pictures))
    return Content(
        headlines=[
            Headline(figure_text(summary[name].value), text, interval_text(summary[name]))
            for name, text in words.items()
        ],
        sections=sections,
        rules={name: text.replace("image", noun) for name, text in RULES.items()}
        | _confounding_rule(evaluation),
        remarks=confounding_lines(evaluation),
    )


def _together(evaluation: ClassEvaluation) -> Section:
    cells = [_figure_cell(evaluation, evaluation.summary[name]) for name in OF_ALL.values()]
    words = f"In small letters: {CONFIDENCE_PERCENT:g} % interval."
    table = Table([*map(Cell, OF_ALL)], [Row(Cell(), cells)])
    return Section("All classes together", [table, Text(words)])


def _each_class(evaluation: ClassEvaluation) -> Section:
    rows = [
        Row(Cell(name), [_figure_cell(evaluation, figures[key]) for key in OF_A_CLASS.values()])
        for name, figures in evaluation.classes.items()
    ]
    heads = [Cell("Class", style=""), *map(Cell, OF_A_CLASS)]
    return Section("Each class against all others", [Table(heads, rows)])


def _figure_cell(evaluation: ClassEvaluation, x: Estimate) -> Cell:
    few = f"of {x.cases}" if x.cases not in (0, len(evaluation.cases)) else ""
    return Cell(figure_text(x.value), (interval_text(x), few))


def _clue_sections(evaluation: ClassEvaluation) -> list[Section]:
    heads = [Cell("From", style=""), Cell("Accuracy"), Cell("AUC")]
    return [
        Section(f"What predicts the {target}", [Table(heads, rows, "figures slim")])
        for target, rows in clue_rows(evaluation).items()
    ]


def clue_rows(evaluation: ClassEvaluation) -> dict[str, list[Row]]:
    """Target to a table of what predicts it: for the class the bundle itself comes first."""
    tables: dict[str, list[Row]] = {}
    for target in (CLASS, SOURCE):
        predicted = evaluation.confounding.of(target) if evaluation.confounding else []
        if not predicted:
            continue
        rows = []
        if target == CLASS:
            own = evaluation.summary["accuracy"], evaluation.summary["macro_auc"]
            rows.append(Row(Cell("the bundle, from the whole image"), _with_intervals(*own), "own"))
        rows += [Row(Cell(x.clue), _with_intervals(x.accuracy, x.auc)) for x in predicted]
        guess = Cell(f"always the most frequent {target}")
        rows.append(Row(guess, [Cell(figure_text(predicted[0].guess)), Cell("0.500")]))
        tables[target] = rows
    return tables


def _confusion(evaluation: ClassEvaluation) -> Section:
    names, counts, rates = (
        evaluation.names,
        evaluation.confusion,
        confusion_rates(evaluation.confusion),
    )
    heads = [Cell("True class", style=""), *(Cell(f"taken for {name}", style="") for name in names),
             Cell(f"{evaluation.noun}s", style="")]  # fmt: skip
    rows = []
    for true, name in enumerate(names):
        cells = []
        for taken in range(len(names)):
            rate, color = float(rates[true, taken]), RIGHT if taken == true else WRONG
            known = not math.isnan(rate)
            shade = f"rgb({color} / {MOST_SHADE_PERCENT * rate:.0f}%)" if known else ""
            share = f"{100 * rate:.1f} %" if known else NONE
            style = "hit" if taken == true else ""
            cells.append(Cell(str(counts[true, taken]), (share,), style, shade))
        rows.append(Row(Cell(name), [*cells, Cell(str(counts[true].sum()), style="")]))
    words = (
        f"In small letters: share of the {evaluation.noun}s of the true class. Green: right; red: "
        "wrong."
    )
    return Section("Which class is taken for which", [Table(heads, rows, "confusion"), Text(words)])


def _ranking(evaluation: ClassEvaluation, curves: Path) -> Section:
    names = evaluation.names
    of = f": {names[POSITIVE]}" if len(names) == POSITIVE + 1 else ""
    words = (
        "Left: ROC, sensitivity over the share of others that pass. Right: precision over recall. "
        f"Bands: {CONFIDENCE_PERCENT:g} % interval. The areas stand in the table above."
    )
    return Section(f"Ranking{of}", [Picture(data_uri(curves), words, "chart")])


def _thresholds(evaluation: ClassEvaluation) -> Section:
    names = ("Sensitivity", "Specificity", "Right of those at or above", "Right of those below",
             "Found", "Missed", "False")  # fmt: skip
    tuned = evaluation.tuned
    chosen = tuned.threshold if tuned else None
    rows = [_threshold_row(row, row.threshold == chosen) for row in evaluation.thresholds]
    words = (
        f"A threshold must not be chosen from this table: these are the {evaluation.noun}s that "
        "figures are given of. "
    )
    if tuned is not None and chosen is not None:
        words += (
            "The chosen one has the highest sum of sensitivity and specificity on "
            f"{tuned.images} images of the validation part."
        )
    else:
        words += "With --calibrate one is chosen on the validation part."
    return Section(
        f"Thresholds on the probability of {evaluation.names[POSITIVE]}",
        [Table([Cell("At or above", style=""), *map(Cell, names)], rows), Text(words)],
    )


def _threshold_row(row: ThresholdRow, chosen: bool) -> Row:
    rates = (row.sensitivity, row.specificity, row.precision, row.negative_precision)
    counts = (row.found, row.missed, row.false)
    cells = [*map(Cell, map(figure_text, rates)), *map(Cell, map(str, counts))]
    if chosen:
        return Row(Cell(f"{row.threshold:.3f}, chosen on validation"), cells, "chosen")
    return Row(Cell(f"{row.threshold:g}"), cells)


def _calibration(evaluation: ClassEvaluation, reliability: Path | None) -> Section:
    tuned, rows = evaluation.tuned, []
    for name, x in evaluation.calibration.items():
        named = f"{name} {tuned.temperature:.2f}" if tuned and name != "as given" else name
        figures = (x["calibration_error"], x["log_loss"])
        rows.append(Row(Cell(named), [*map(Cell, map(figure_text, figures))]))
    heads = [Cell("Probabilities", style=""), Cell("Expected calibration error"), Cell("Log loss")]
    parts: list[Part] = [Table(heads, rows, "figures slim")]
    if tuned:
        parts.append(
            Text(
                f"The temperature was fitted on {tuned.images} images of the validation part. It "
                "divides the logits: above 1 the network was too sure. The order of the classes "
                "stays. Everything else on this page is of the probabilities as given."
            )
        )
    if reliability is not None:
        words = (
            "How often the predicted class is right, over the probability given to it; on the "
            "diagonal probabilities can be believed."
        )
        parts.append(Picture(data_uri(reliability), words, "chart narrow"))
    return Section("Calibration", parts)


def _losses(evaluation: ClassEvaluation, pictures: ClassPictures) -> Section:
    shown = [case for case in evaluation.worst_first if case.case in pictures.tiles]
    tiles = [_tile(case, evaluation.names, pictures.tiles[case.case]) for case in shown]
    parts: list[Part] = []
    if pictures.attention:
        words = "where the network looked for the class it predicted, from dark to yellow."
        parts.append(Text(f"Beside each image: {words}"))
    parts.append(Tiles(tiles, TILE_WIDTH * (2 if pictures.attention else 1)))
    return Section("Top losses", parts)


def _tile(case: ClassCase, names: Sequence[str], source: str) -> Tile:
    probability = figure_text(float(case.probability[case.predicted]))
    wrong = case.predicted != case.truth
    true = f"true: {names[case.truth]} {figure_text(float(case.probability[case.truth]))}"
    return Tile(
        source,
        f"Radiograph {case.case}.",
        names[case.predicted],
        f"{probability} · {true if wrong else 'right'}",
        f"loss {case.loss:.2f} · {case.case}",
        "wrong" if wrong else "",
    )


def _confounding_rule(evaluation: ClassEvaluation) -> dict[str, str]:
    if (found := evaluation.confounding) is None:
        return {}
    rule = CONFOUNDING_RULE.format(training=found.training, measured=found.measured)
    if found.shared:
        rule += f" {found.shared} training images were left out, as their patients are measured."
    if found.unreadable:
        rule += f" {found.unreadable} images could not be read."
    return {"What predicts": rule}


def figure_text(value: float) -> str:
    """Three decimals; words where it is not defined.

    Args:
        value: of any unit, or NaN.
    """
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


def interval_text(estimate: Estimate) -> str:
    """The interval: "0.812 to 0.874"; nothing where there is none."""
    if math.isnan(estimate.value) or math.isnan(estimate.low):
        return ""
    return f"{figure_text(estimate.low)} to {figure_text(estimate.high)}"


def confounding_lines(evaluation: ClassEvaluation) -> list[str]:
    """The confounding test in sentences, one a target, for the page and the terminal."""
    if (confounding := evaluation.confounding) is None:
        return []
    if not confounding.predicted:
        return ["What else predicts the class was not tested: there is nothing to train on."]
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
    accuracy, auc = _with_intervals(evaluation.summary["accuracy"], evaluation.summary["macro_auc"])
    return (
        f"accuracy {accuracy.text}, AUC {auc.text}; "
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
        f"calibration error {figure_text(before)}, with temperature {tuned.temperature:.2f} "
        f"{figure_text(after)}"
    )
    for row in evaluation.thresholds:
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


def _with_intervals(*estimates: Estimate) -> list[Cell]:
    """Figures with their intervals behind them."""
    texts = [(figure_text(x.value), interval_text(x)) for x in estimates]
    return [Cell(f"{value} ({interval})" if interval else value) for value, interval in texts]
