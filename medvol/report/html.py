# SPDX-License-Identifier: Apache-2.0
"""The report of one case: a single page that holds all it shows and loads nothing."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..files import write_text
from ..labels import LabelTable
from ..metrics.measurements import Histogram, Measurement, Reference
from .histogram_plot import plot
from .tables import hu_text, ml_text, percent_text

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportContext:
    """What the page says. Empty parts are left out of the page.

    Args:
        case: name of the case.
        measurements: one row a label.
        table: colours of the labels.
        reference: the organ that shares are of.
        focus: what the first line is about, such as Reference("lesion", (1, 2)).
        values: what the image's values are called, "HU" or "intensity".
        answer: the volume's answer in words, such as "no lesion found".
        slices: how many slices count, in words.
        picture: PNG, a path or its bytes.
        profile: PNG of the probability of slices, a path or its bytes.
        histogram: HU of the labels.
        facts: input facts, name to text; no folder names, they may name the patient.
        notes: remarks about the input, one sentence each.
        bundle: name to text: name, version, sha256 of the weights.
        settings: name to text: device, precision, window, ...
        times_s: stage to seconds.
        files: file beside the page to what it holds, such as "scene.mrb".
    """

    case: str
    measurements: Sequence[Measurement]
    table: LabelTable
    reference: Reference | None = None
    focus: Reference | None = None
    values: str = "HU"
    answer: str = ""
    slices: str = ""
    picture: bytes | Path | None = None
    profile: bytes | Path | None = None
    histogram: Histogram | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    bundle: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    times_s: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def write_report(path: str | os.PathLike[str], context: ReportContext) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    write_text(path, render_report(context))


def render_report(context: ReportContext) -> str:
    """The page as text; every text of the context is escaped."""
    environment = page_environment()
    environment.filters.update(
        ml=ml_text, hu=hu_text, percent=percent_text, rgb=_rgb, data_uri=data_uri
    )
    colors = {label.value: label.color for label in context.table}
    histogram = context.histogram
    return environment.get_template("report.html.j2").render(
        page=context,
        colors=colors,
        organ=_total(context.measurements, context.reference),
        summary=_total(context.measurements, context.focus),
        chart=plot(histogram, context.measurements) if histogram is not None else None,
        total_s=sum(context.times_s.values()),
    )


def page_environment() -> Environment:
    """Templates that escape every text and refuse a name that nobody gave."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["href"] = quote
    return environment


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


def data_uri(picture: bytes | Path) -> str:
    """A PNG as the address of an `img`."""
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
