# SPDX-License-Identifier: Apache-2.0
"""What the page of an evaluation says of masks: summary of each region, and cases worst first.

The pictures of the worst `MOST_PICTURES` cases are on the page, those of the others are linked, so
that a page of hundreds of cases can still be opened.
"""

import base64
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.image import imread, imsave

from ..metrics.intervals import CONFIDENCE_PERCENT, Estimate
from ..metrics.masks.comparison import EMPTY_RULE, RegionFigures
from ..metrics.masks.evaluation import MaskCase, MaskEvaluation
from ..text import NONE, ml_text
from .evaluation import (
    Cell,
    Content,
    Files,
    Headline,
    Part,
    Picture,
    Remarks,
    Row,
    Section,
    Table,
    Text,
)

MOST_PICTURES = 30
JPEG_QUALITY = 85
SHOWS = (
    "the true mask, the predicted one, both with missed voxels green and dotted, false ones red "
    "and hatched, correct ones yellow, and the missed ones alone."
)
RULES = {
    "Dice": "Twice the common voxels over the voxels of both. Pooled: the voxels of all cases "
    "first added, so that large lesions count more. Mean and median: over the cases whose truth "
    "has the region.",
    "Surface Dice": "Share of the surface voxels of both masks that are at most {tolerance:g} mm "
    "from the other surface; mean over the cases whose truth has the region.",
    "HD95": "95 % of the surface voxels are nearer than this to the other surface; the larger of "
    "both directions; mean over the cases where both masks have the region. Both as MONAI's "
    "metrics have them by default.",
    "Lesions": "Connected voxels (also over corners) of {smallest:g} ml or more. Found: one voxel "
    "of it is marked. False: no voxel of it is a lesion. Counted for what the bundle looks for, "
    "not for organs.",
    "Volume error": "Predicted less true; mean over all cases, with and without its sign.",
    "Empty masks": EMPTY_RULE,
}


def mask_content(
    evaluation: MaskEvaluation, folder: Path, *, picture: str, files: Mapping[str, str]
) -> Content:
    """Sections of the page of an evaluation of masks.

    Args:
        evaluation: what was measured.
        folder: that holds a folder for each case.
        picture: file of a case that is its picture.
        files: file of a case to what it holds.

    Raises:
        OSError: a picture cannot be read.
    """
    key, cases = evaluation.regions[0], evaluation.worst_first
    pooled, mean, *_ = summary_cells(evaluation, key)
    headlines = [
        Headline(cell.text, f"{key} {words}", cell.small[0])
        for cell, words in ((pooled, "Dice, pooled"), (mean, "Dice, mean"))
    ]
    worst = [_case_row(case, key, number) for number, case in enumerate(cases, 1)]
    details = [
        _case_section(number, case, folder if number <= MOST_PICTURES else None, picture, files)
        for number, case in enumerate(cases, 1)
    ]
    if len(cases) > MOST_PICTURES:
        words = (
            f"The pictures of the {MOST_PICTURES} worst cases are on this page; those of the "
            "others lie beside it."
        )
        details.append(Section("Other pictures", [Text(words)]))
    measure = evaluation.measure
    amounts = {"tolerance": measure.tolerance_mm, "smallest": measure.smallest_lesion_ml}
    return Content(
        headlines=headlines,
        sections=[
            _summary_section(evaluation),
            Section(f"Cases, worst first: {key}", [Table(_heads("Case"), worst)]),
        ],
        rules={name: text.format(**amounts) for name, text in RULES.items()},
        details=details,
        footer="Volumes count whole voxels.",
    )


def _summary_section(evaluation: MaskEvaluation) -> Section:
    number = len(evaluation.cases)
    rows = []
    for region in evaluation.regions:
        there = sum(case.regions[region].voxels_true > 0 for case in evaluation.cases)
        head = Cell(region, (f"in {there} of {number} cases",))
        rows.append(Row(head, summary_cells(evaluation, region)))
    heads = [Cell("Region", style=""), *(Cell(heading) for heading, _, _ in SUMMARY)]
    words = (
        f"In small letters: {CONFIDENCE_PERCENT:g} % interval, and of how many cases a figure is "
        "when not of all."
    )
    return Section("All cases together", [Table(heads, rows), Text(words)])


def summary_cells(evaluation: MaskEvaluation, region: str) -> list[Cell]:
    """The figures of a region as texts, in the order of `SUMMARY`: interval and few below."""
    figures = evaluation.summary[region]
    return [_cell(figures[name], text, len(evaluation.cases)) for _, name, text in SUMMARY]


def _cell(estimate: Estimate, text: Callable[[float], str], cases: int) -> Cell:
    if math.isnan(estimate.value):
        return Cell(NONE, ("", ""))
    few = f"of {estimate.cases}" if estimate.cases < cases else ""
    known = not math.isnan(estimate.low)
    interval = f"{text(estimate.low)} to {text(estimate.high)}" if known else ""
    return Cell(text(estimate.value), (interval, few))


def _heads(first: str) -> list[Cell]:
    names = ("Surface Dice", "HD95, mm", "True, ml", "Predicted, ml", "Error, ml", "Lesions found",
             "False lesions")  # fmt: skip
    return [Cell(first, style=""), Cell("Dice"), Cell(style="bar"), *map(Cell, names)]


def _figure_cells(x: RegionFigures) -> list[Cell]:
    return [
        Cell(fraction_text(x.dice), style="n main"),
        Cell(bar=x.dice),
        Cell(fraction_text(x.surface_dice)),
        Cell(one_text(x.hd95_mm)),
        Cell(ml_text(x.true_ml)),
        Cell(ml_text(x.predicted_ml)),
        Cell(signed_ml_text(x.volume_error_ml)),
        Cell(NONE if x.lesions is None else f"{x.lesions.found} of {x.lesions.true}"),
        Cell(NONE if x.lesions is None else str(x.lesions.false)),
    ]


def _case_row(case: MaskCase, key: str, number: int) -> Row:
    patient = f"patient {case.patient}" if case.patient != case.case else ""
    fold = f"fold {case.fold}" if case.fold is not None else ""
    small = ", ".join(text for text in (patient, fold) if text)
    return Row(Cell(case.case, (small,), link=f"#case-{number}"), _figure_cells(case.regions[key]))


def _case_section(
    number: int, case: MaskCase, folder: Path | None, picture: str, files: Mapping[str, str]
) -> Section:
    parts: list[Part] = []
    if case.notes:
        parts.append(Remarks(case.notes))
    if folder is not None:
        source = embedded(folder / case.case / picture)
        parts.append(Picture(source, f"Axial slices of {case.case}: {SHOWS}"))
    rows = [
        Row(Cell(region), _figure_cells(x), "" if x.voxels_true or x.voxels_predicted else "none")
        for region, x in case.regions.items()
    ]
    parts += [Table(_heads("Region"), rows), Files(case.case, files)]
    return Section(f"{number}. {case.case}", parts, anchor=f"case-{number}", style="case")


def fraction_text(value: float) -> str:
    """A share with two decimals; a dash where it is not defined.

    Args:
        value: 0 to 1, or NaN.
    """
    return NONE if math.isnan(value) else f"{value:.2f}"


def one_text(value: float) -> str:
    """One decimal; a dash where it is not defined.

    Args:
        value: of any unit, or NaN.
    """
    return NONE if math.isnan(value) else f"{value:.1f}"


def signed_ml_text(value_ml: float) -> str:
    """Millilitres with a sign: "+117", "−0.43", "0.00"."""
    sign = "+" if value_ml > 0 else "−" if value_ml < 0 else ""
    return sign + ml_text(abs(value_ml))


# heading, figure of `metrics.masks.evaluation`, as text
SUMMARY: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("Dice, pooled", "dice_pooled", fraction_text),
    ("Dice, mean", "dice_mean", fraction_text),
    ("Dice, median", "dice_median", fraction_text),
    ("Surface Dice", "surface_dice_mean", fraction_text),
    ("HD95, mm", "hd95_mm_mean", one_text),
    ("Lesions found", "lesion_sensitivity", lambda share: f"{100 * share:.0f} %"),
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
    texts = [cell.text + (f" ({cell.small[0]})" if cell.small[0] else "")
             for cell in (pooled, mean)]  # fmt: skip
    return (
        f"{evaluation.regions[0]} Dice pooled {texts[0]}, mean {texts[1]}; "
        f"cases: {len(evaluation.cases)}, patients: {evaluation.patients}"
    )
