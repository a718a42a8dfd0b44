# SPDX-License-Identifier: Apache-2.0
"""What the page of an evaluation says of masks: summary of each region, and cases worst first.

The pictures of the worst `MOST_PICTURES` cases are on the page, those of the others are linked, so
that a page of hundreds of cases can still be opened.
"""

import base64
import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from matplotlib.image import imread, imsave

from ..metrics.masks.comparison import EMPTY_RULE, Measure, RegionFigures
from ..metrics.masks.evaluation import MaskCase, MaskEvaluation
from ..text import decimals, figure_text, minus, ml_text, signed_ml_text
from .evaluation import Content

MOST_PICTURES = 30
MOST_LESIONS = 5  # of a case that are missed, and that are false, named with their places
JPEG_QUALITY = 85

fraction = partial(decimals, places=2)
false_text = partial(decimals, places=1)


def share_text(share: float) -> str:
    """A share of 1 in whole percent; a dash for NaN."""
    return decimals(100 * share, 0, unit=" %")


# heading, figure of `metrics.masks.evaluation`, as text
SUMMARY: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("Dice, pooled", "dice_pooled", fraction),
    ("Dice, mean", "dice_mean", fraction),
    ("Dice, median", "dice_median", fraction),
    ("Surface Dice", "surface_dice_mean", fraction),
    ("HD95, mm", "hd95_mm_mean", partial(decimals, places=1)),
    ("Lesions found", "lesion_sensitivity", share_text),
    ("False lesions a case", "false_lesions_per_case", false_text),
    ("Volume error, median, ml", "volume_error_ml_median", signed_ml_text),
    ("without sign, ml", "absolute_volume_error_ml_median", ml_text),
)


def mask_content(
    evaluation: MaskEvaluation,
    folder: Path,
    *,
    picture: str,
    files: Mapping[str, str],
    volumes: Path | None = None,
) -> Content:
    """What the page of an evaluation of masks says.

    Args:
        evaluation: what was measured.
        folder: that holds a folder for each case.
        picture: file of a case that is its picture.
        files: file of a case to what it holds.
        volumes: PNG of `volume_plot.draw_volumes`, where there is one.
    """
    key = evaluation.regions[0]
    values = {
        "key": key,
        "agreement": evaluation.volumes[key],
        "volumes": volumes,
        "volume_text": figure_text if evaluation.volumes[key].as_ratio else signed_ml_text,
        "sizes": evaluation.sizes.get(key, ()),
        "share": share_text,
        "false_text": false_text,
        "lesion_lines": lambda figures: lesion_lines(figures, evaluation.measure),
        "cases": evaluation.worst_first,
        "summary": SUMMARY,
        "fraction": fraction,
        "empty_rule": EMPTY_RULE,
        "most_pictures": MOST_PICTURES,
        "picture_of": lambda case: embedded(folder / case.case / picture),
        "files": files,
    }
    return Content("mask_evaluation.html.j2", values)


def embedded(picture: Path) -> str:
    """A picture as the address of an `img`, as JPEG, a fourth of the PNG's size.

    Raises:
        OSError: it cannot be read.
    """
    options = {"quality": JPEG_QUALITY, "subsampling": 0}  # thin coloured lines stay sharp
    with io.BytesIO() as stream:
        imsave(stream, imread(picture)[..., :3], format="jpeg", pil_kwargs=options)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def lesion_lines(figures: RegionFigures, measure: Measure) -> list[str]:
    """The largest missed and the largest false lesions of a case, with their places.

    Args:
        figures: of a region.
        measure: says which are too small to count.
    """
    smallest, lines = measure.smallest_voxels(figures.voxel_ml), []
    for outcome in ("missed", "false"):
        found = [
            f"{ml_text(lesion.voxels * figures.voxel_ml)} ml at {_place(lesion.centre_mm)}"
            for lesion in figures.matched
            if lesion.outcome == outcome and lesion.voxels >= smallest
        ]
        if found:
            more = f"; and {len(found) - MOST_LESIONS} more" if len(found) > MOST_LESIONS else ""
            lines.append(f"{outcome.capitalize()}: {'; '.join(found[:MOST_LESIONS])}{more}.")
    return lines


def _place(centre_mm: tuple[float, float, float]) -> str:
    return "(" + ", ".join(minus(f"{x:.0f}") for x in centre_mm) + ")"


def case_line(case: MaskCase, region: str) -> str:
    """One line for the terminal: Dice, HD95 and volumes of a region."""
    figures = case.regions[region]
    return (
        f"{region} Dice {fraction(figures.dice)}, HD95 {decimals(figures.hd95_mm, 1)} mm, "
        f"{ml_text(figures.predicted_ml)} ml for {ml_text(figures.true_ml)} ml"
    )


def summary_line(evaluation: MaskEvaluation) -> str:
    """One line for the terminal: Dice of the first region with its intervals.

    Where cases lack the region, so that a mean leaves them out, it says of how many the mean is.
    """
    key, number = evaluation.regions[0], len(evaluation.cases)
    there = evaluation.cases_with(key)
    some = f" ({there} of {number} have it)" if there < number else ""
    pooled, mean = (
        evaluation.summary[key][name].words(fraction) for name in ("dice_pooled", "dice_mean")
    )
    return (
        f"{key} Dice pooled {pooled}, mean {mean}{some}; "
        f"cases: {number}, patients: {evaluation.patients}"
    )
