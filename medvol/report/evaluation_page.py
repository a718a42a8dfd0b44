# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: worst cases first, with pictures, intervals, and how it was measured.

A single page that holds all it shows and loads nothing; only the pictures of the cases after the
worst `MOST_PICTURES` are linked instead, so that a page of hundreds of cases can still be opened.
"""

import base64
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from matplotlib.image import imread, imsave

from ..files import write_text
from ..metrics.intervals import CONFIDENCE_PERCENT, RESAMPLES, Estimate
from ..metrics.masks.comparison import EMPTY_RULE, RegionFigures
from ..metrics.masks.evaluation import MaskCase, MaskEvaluation
from ..text import ml_text
from .html import page_environment

MOST_PICTURES = 30
JPEG_QUALITY = 85
NONE = "–"


@dataclass(frozen=True)
class EvaluationContext:
    """What the page says beside the figures.

    Args:
        title: name of the bundle.
        protocol: name to text: data, fold, cases, grouping, where the masks come from.
        bundle: name to text: name, version, sha256 of the weights.
        picture: file of a case that is its picture.
        files: file of a case to what it holds.
        remarks: what the reader must know, one sentence each.
    """

    title: str
    protocol: Mapping[str, str]
    bundle: Mapping[str, str]
    picture: str
    files: Mapping[str, str]
    remarks: Sequence[str] = ()


class Cell(NamedTuple):
    """A figure of the summary: its text, its interval, and of how many cases if not of all."""

    value: str
    interval: str = ""
    few: str = ""


def write_evaluation(
    path: str | os.PathLike[str], evaluation: MaskEvaluation, context: EvaluationContext
) -> None:
    """Write the page, whole or not at all; pictures and files lie in a folder a case beside it.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    page = render_evaluation(evaluation, context, Path(path).parent)
    write_text(path, page)


def render_evaluation(evaluation: MaskEvaluation, context: EvaluationContext, folder: Path) -> str:
    """The page as text; every text is escaped.

    Args:
        evaluation: what was measured.
        context: what else is said.
        folder: that holds a folder for each case.
    """
    environment = page_environment()
    environment.filters.update(
        fraction=fraction_text, one=one_text, ml=ml_text, signed_ml=signed_ml_text
    )
    cases = evaluation.worst_first
    pictures = {
        case.case: embedded(folder / case.case / context.picture) for case in cases[:MOST_PICTURES]
    }
    return environment.get_template("evaluation.html.j2").render(
        page=context,
        evaluation=evaluation,
        cases=cases,
        key=evaluation.regions[0],
        pictures=pictures,
        most_pictures=MOST_PICTURES,
        summary={region: summary_cells(evaluation, region) for region in evaluation.regions},
        with_truth={
            region: sum(case.regions[region].voxels_true > 0 for case in cases)
            for region in evaluation.regions
        },
        headings=[heading for heading, _, _ in SUMMARY],
        lesions_text=lesions_text,
        empty_rule=EMPTY_RULE,
        percent=f"{CONFIDENCE_PERCENT:g}",
        resamples=f"{RESAMPLES:,}",
        refused=[(case, error, Path(error.path).name) for case, error in evaluation.refused],
    )


def summary_cells(evaluation: MaskEvaluation, region: str) -> list[Cell]:
    """The figures of a region as texts, in the order of `SUMMARY`."""
    figures = evaluation.summary[region]
    return [_cell(figures[name], text, len(evaluation.cases)) for _, name, text in SUMMARY]


def _cell(estimate: Estimate, text: Callable[[float], str], cases: int) -> Cell:
    if math.isnan(estimate.value):
        return Cell(NONE)
    few = f"of {estimate.cases}" if estimate.cases < cases else ""
    if math.isnan(estimate.low):
        return Cell(text(estimate.value), few=few)
    return Cell(text(estimate.value), f"{text(estimate.low)} to {text(estimate.high)}", few)


def fraction_text(value: float) -> str:
    """Two decimals; a dash where it is not defined."""
    return NONE if math.isnan(value) else f"{value:.2f}"


def one_text(value: float) -> str:
    """One decimal; a dash where it is not defined."""
    return NONE if math.isnan(value) else f"{value:.1f}"


def percent_text(value: float) -> str:
    """A share as whole percent."""
    return f"{100 * value:.0f} %"


def signed_ml_text(value_ml: float) -> str:
    """Millilitres with a sign: "+117", "−0.43", "0.00"."""
    sign = "+" if value_ml > 0 else "−" if value_ml < 0 else ""
    return sign + ml_text(abs(value_ml))


def lesions_text(figures: RegionFigures) -> str:
    """How many lesions were found: "2 of 8"; a dash where lesions are not counted."""
    counts = figures.lesions
    return NONE if counts is None else f"{counts.found} of {counts.true}"


# heading, figure of `metrics.masks.evaluation`, as text
SUMMARY: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("Dice, pooled", "dice_pooled", fraction_text),
    ("Dice, mean", "dice_mean", fraction_text),
    ("Dice, median", "dice_median", fraction_text),
    ("Surface Dice", "surface_dice_mean", fraction_text),
    ("HD95, mm", "hd95_mm_mean", one_text),
    ("Lesions found", "lesion_sensitivity", percent_text),
    ("False lesions a case", "false_lesions_per_case", one_text),
    ("Volume error, ml", "volume_error_ml_mean", signed_ml_text),
    ("without sign, ml", "absolute_volume_error_ml_mean", ml_text),
)


def embedded(picture: Path) -> str:
    """A picture as the address of an `img`, as JPEG, a fourth of the PNG's size."""
    options = {"quality": JPEG_QUALITY, "subsampling": 0}  # thin coloured lines stay sharp
    with io.BytesIO() as stream:
        imsave(stream, imread(picture)[..., :3], format="jpeg", pil_kwargs=options)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def case_line(case: MaskCase, region: str) -> str:
    """One line for the terminal: Dice, HD95 and volumes of a region."""
    figures = case.regions[region]
    return (
        f"{region} Dice {fraction_text(figures.dice)}, HD95 {one_text(figures.hd95_mm)} mm, "
        f"{ml_text(figures.predicted_ml)} ml for {ml_text(figures.true_ml)} ml"
    )


def summary_line(evaluation: MaskEvaluation) -> str:
    """One line for the terminal: Dice of the first region with its intervals."""
    pooled, mean, *_ = summary_cells(evaluation, evaluation.regions[0])
    texts = [f"{cell.value}" + (f" ({cell.interval})" if cell.interval else "")
             for cell in (pooled, mean)]  # fmt: skip
    return (
        f"{evaluation.regions[0]} Dice pooled {texts[0]}, mean {texts[1]}; "
        f"cases: {len(evaluation.cases)}, patients: {evaluation.patients}"
    )
