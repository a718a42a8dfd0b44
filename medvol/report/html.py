# SPDX-License-Identifier: Apache-2.0
"""The report of one case: a single page that holds all it shows and loads nothing.

Every page of medvol, that of an evaluation too, extends `templates/base.html.j2`.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..files import cell_text, write_text
from ..labels import LabelTable
from ..metrics.lung_regions import HIGHEST_SCORE, SCORE_SOURCE, Region
from ..metrics.measurements import Histogram, Measurement, Reference
from ..progress import STAGES
from ..text import (
    NOTICE,
    decimals,
    figure_text,
    hu_text,
    minus,
    ml_text,
    percent_text,
    signed_ml_text,
)

if TYPE_CHECKING:
    from ..metrics.masks.comparison import RegionFigures  # which loads torch

if TYPE_CHECKING:  # they load MONAI and SciPy, without which the page of all cases is written
    from ..metrics.lesions import Lesions
    from ..metrics.masks.comparison import RegionFigures

TEMPLATES = Path(__file__).parent / "templates"
CHART_WIDTH, CHART_HEIGHT = 900, 250  # units of the histogram, without room for the axes' texts
TICK_HU = 200
PERCENT_STEPS = (1, 2, 5, 10, 20, 50)  # between grid lines: the first that gives at most five


@dataclass(frozen=True)
class ReportContext:
    """What the page says of one image, whatever the task. Empty parts are left out of the page.

    Args:
        case: name of the case.
        answer: the answer in words, such as "no lesion found", or the most probable class.
        part_shown: the image shows a part of the organ only, so that nothing is said of the rest.
        warnings: why the answer may mislead, one sentence each; they stand above it.
        notes: other remarks about the input, one sentence each.
        picture: PNG of slices with the mask, or of a radiograph with its map; a path or its bytes.
        preview: PNG of the mask in 3D; a path or its bytes.
        difference: region to the figures of a prediction beside a mask by hand.
        errors: PNG of where the two differ, a path or its bytes.
        reading: how the picture was made and is to be read, in words.
        slices: how many slices count, in words.
        profile: PNG of the probability of slices, a path or its bytes.
        probability: name of each class to its probability, 0 to 1, in the network's order.
        measurements: one row a label.
        regions: lungs and their thirds.
        ct_score: of the lungs, 0 to 24; None where it is not given.
        lesions: one by one, the largest first.
        table: colours of the labels.
        reference: the organ that shares are of.
        focus: what the line above the picture is about, such as Reference("lesion", (1, 2)).
        values: what the image's values are called, "HU" or "intensity".
        histogram: HU of the labels.
        facts: of the input, name to text; no folder names, they may name the patient.
        bundle: name to text: name, version, SHA-256 of the weights.
        settings: name to text: device, precision, window, ...
        times_s: stage to seconds.
        intended_use: as the bundle's metadata say it.
        files: file beside the page to what it holds, such as "scene.mrb".
    """

    case: str
    answer: str = ""
    part_shown: bool = False
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    picture: bytes | Path | None = None
    preview: bytes | Path | None = None
    difference: Mapping[str, "RegionFigures"] = field(default_factory=dict)
    errors: bytes | Path | None = None
    reading: str = ""
    slices: str = ""
    profile: bytes | Path | None = None
    probability: Mapping[str, float] = field(default_factory=dict)
    measurements: Sequence[Measurement] = ()
    regions: Sequence[Region] = ()
    ct_score: int | None = None
    lesions: "Lesions | None" = None
    table: LabelTable | None = None
    reference: Reference | None = None
    focus: Reference | None = None
    values: str = "HU"
    histogram: Histogram | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    bundle: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    times_s: Mapping[str, float] = field(default_factory=dict)
    intended_use: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def write_report(path: str | os.PathLike[str], context: ReportContext) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    write_text(path, render_report(context))


def render_report(context: ReportContext) -> str:
    """The page as text; every text of the context is escaped."""
    histogram = context.histogram
    return page_environment().get_template("prediction.html.j2").render(
        title=context.case,
        kind="medvol report",
        page=context,
        colors={label.value: label.color for label in context.table or ()},
        organ=_total(context.measurements, context.reference),
        summary=_total(context.measurements, context.focus),
        chart=plot(histogram, context.measurements) if histogram is not None else None,
        highest_score=HIGHEST_SCORE,
        score_source=SCORE_SOURCE,
        total_s=sum(context.times_s.values()),
    )  # fmt: skip


@cache
def page_environment() -> Environment:
    """Templates that escape every text and refuse a name that nobody gave.

    A page extends `base.html.j2`: give `title` and `kind` (the small line above it), and fill the
    blocks `style` (more CSS), `main` and `footer` (a sentence behind the notice).
    `parts.html.j2` has what pages share: pairs, notes, refused, picture, files. They are compiled
    once for all pages of a process.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters.update(
        ml=ml_text, signed_ml=signed_ml_text, hu=hu_text, percent=percent_text, decimals=decimals,
        rgb=_rgb, data_uri=data_uri, href=quote, filename=os.path.basename, cell=cell_text,
        jpeg_uri=jpeg_uri, figure=figure_text,
    )  # fmt: skip
    environment.globals |= {"notice": NOTICE, "stages": STAGES}
    return environment


def data_uri(picture: bytes | Path) -> str:
    """A PNG as the address of an `img`."""
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def jpeg_uri(picture: bytes) -> str:
    """A JPEG as the address of an `img`."""
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")


class Tick(NamedTuple):
    """A place on an axis of the histogram, in units of the drawing, and its text."""

    at: float
    text: str


class Curve(NamedTuple):
    """One label: its outline as SVG points, from the left end of the base line to the right."""

    value: int
    name: str
    points: str


class Chart(NamedTuple):
    """The histogram as points of a drawing, for the page's inline SVG."""

    width: int
    height: int
    bin_hu: float
    curves: tuple[Curve, ...]
    hu_ticks: tuple[Tick, ...]
    percent_ticks: tuple[Tick, ...]


def plot(histogram: Histogram, rows: Sequence[Measurement]) -> Chart | None:
    """Steps of percent over HU, one curve for each label that has voxels; None without any."""
    shares = {
        row: histogram.shares_percent(row.value)
        for row in rows
        if row.value in histogram.counts and histogram.counts[row.value].any()
    }
    if not shares:
        return None
    edges = histogram.edges_hu
    low, high = float(edges[0]), float(edges[-1])
    highest = max(float(share.max()) for share in shares.values())
    step = next((s for s in PERCENT_STEPS if 5 * s >= highest), PERCENT_STEPS[-1])
    top = step * max(1, -int(-highest // step))

    def x(hu: float) -> float:
        return CHART_WIDTH * (hu - low) / (high - low)

    def y(percent: float) -> float:
        return CHART_HEIGHT * (1 - percent / top)

    curves = []
    for row, share in shares.items():
        corners = [(x(low), y(0))]
        for left, right, percent in zip(edges[:-1], edges[1:], share, strict=True):
            corners += [(x(left), y(percent)), (x(right), y(percent))]
        corners.append((x(high), y(0)))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        curves.append(Curve(row.value, row.name, points))
    first = TICK_HU * -int(-low // TICK_HU)
    hu_ticks = tuple(
        Tick(round(x(hu), 1), minus(str(hu))) for hu in range(first, int(high) + 1, TICK_HU)
    )
    percent_ticks = tuple(Tick(round(y(p), 1), f"{p} %") for p in range(0, top + 1, step))
    bin_hu = float(edges[1] - edges[0])
    return Chart(CHART_WIDTH, CHART_HEIGHT, bin_hu, tuple(curves), hu_ticks, percent_ticks)


def _total(rows: Sequence[Measurement], group: Reference | None) -> dict[str, Any] | None:
    """Labels of a group taken together: name, volume and share of the reference organ."""
    if group is None:
        return None
    members = [row for row in rows if row.value in group.values]
    shares = [row.share_percent for row in members if row.share_percent is not None]
    return {
        "name": group.name,
        "volume_ml": sum(row.volume_ml for row in members),
        "share_percent": sum(shares) if shares else None,
    }


def _rgb(color: tuple[int, int, int]) -> str:
    return "rgb({} {} {})".format(*color)
