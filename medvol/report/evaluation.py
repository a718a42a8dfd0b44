# SPDX-License-Identifier: Apache-2.0
"""An evaluation as files: a page for people, `metrics.csv` and `metrics.json` for programs.

The page has one layout, whatever was measured: what comes first, sections of tables and pictures,
how it was measured. `mask_sections` and `class_sections` say what stands in the sections. It holds
all that it shows and loads nothing.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..files import write_csv, write_json, write_text
from ..metrics.evaluation import Evaluation
from ..metrics.intervals import CONFIDENCE_PERCENT, RESAMPLES, SEED
from ..text import NOTICE, counted, digits
from .html import page_environment


class Cell(NamedTuple):
    """A cell of a table.

    Args:
        text: what it says.
        small: lines in small letters below.
        style: CSS class.
        shade: CSS colour behind it; empty for none.
        bar: 0 to 1, drawn as a bar in place of the text; NaN draws none.
        link: address that the text leads to.
    """

    text: str = ""
    small: tuple[str, ...] = ()
    style: str = "n"
    shade: str = ""
    bar: float | None = None
    link: str = ""


class Row(NamedTuple):
    """A row of a table: what it is of, its cells, and its CSS class."""

    head: Cell
    cells: Sequence[Cell]
    style: str = ""


class Table(NamedTuple):
    """Figures in rows and columns.

    Args:
        head: of each column; the first is that of the rows' heads.
        rows: from top to bottom.
        style: CSS classes.
    """

    head: Sequence[Cell]
    rows: Sequence[Row]
    style: str = "figures"


class Text(NamedTuple):
    """A sentence or more in quiet letters."""

    words: str


class Remarks(NamedTuple):
    """A list of sentences in quiet letters."""

    lines: Sequence[str]


class Picture(NamedTuple):
    """An image with what it shows in words.

    Args:
        source: address for `img`, which holds the picture.
        words: what it shows, for who cannot see it.
        style: CSS class.
    """

    source: str
    words: str
    style: str = ""


class Tile(NamedTuple):
    """A small picture with a caption.

    Args:
        source: address for `img`, which holds the picture.
        words: what it shows, for who cannot see it.
        name: in bold letters in front of the caption.
        caption: behind the name.
        small: in small letters below.
        style: CSS class.
    """

    source: str
    words: str
    name: str
    caption: str
    small: str
    style: str = ""


class Tiles(NamedTuple):
    """Small pictures side by side, each at least so many pixels wide."""

    tiles: Sequence[Tile]
    width: int


class Files(NamedTuple):
    """Links to files in a folder beside the page: name to what it holds."""

    folder: str
    names: Mapping[str, str]


Part = Table | Text | Remarks | Picture | Tiles | Files


@dataclass(frozen=True)
class Section:
    """A part of the page below a heading.

    Args:
        title: of it.
        parts: from top to bottom.
        anchor: name that links inside the page lead to; empty for none.
        style: CSS class.
    """

    title: str
    parts: Sequence[Part]
    anchor: str = ""
    style: str = ""


@dataclass(frozen=True)
class Headline:
    """A figure above everything: its value, what it is, and its interval."""

    value: str
    words: str
    interval: str = ""


@dataclass(frozen=True)
class Content:
    """What a kind of evaluation puts on the page.

    Args:
        headlines: the main figures.
        sections: before the rules.
        rules: name of a figure to how it was measured.
        details: sections at the end, such as one for each case.
        remarks: what the figures themselves say that a reader must know first.
        footer: a sentence behind the notice.
    """

    headlines: Sequence[Headline]
    sections: Sequence[Section]
    rules: Mapping[str, str]
    details: Sequence[Section] = ()
    remarks: Sequence[str] = ()
    footer: str = ""


@dataclass(frozen=True)
class About:
    """What was measured on what.

    Args:
        protocol: name to text: data, fold or part, cases, grouping, where the answers come from.
        bundle: name to text: name, version, SHA-256 of the weights.
        remarks: what a reader must know before the figures, one sentence each.
        files: file beside the page to what it holds.
    """

    protocol: Mapping[str, str]
    bundle: Mapping[str, str]
    remarks: Sequence[str] = ()
    files: Mapping[str, str] | None = None


def write_evaluation(
    path: str | os.PathLike[str], evaluation: Evaluation[Any], content: Content, about: About
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the page.
        evaluation: what was measured.
        content: what its kind puts on the page.
        about: what was measured on what.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    write_text(path, render_evaluation(evaluation, content, about))


def render_evaluation(evaluation: Evaluation[Any], content: Content, about: About) -> str:
    """The page as text; every text is escaped.

    Args:
        evaluation, content, about: as for `write_evaluation`.
    """
    noun, patients = evaluation.noun, evaluation.patients
    intervals = (
        f"{CONFIDENCE_PERCENT:g} %, percentile bootstrap: the {counted(patients, 'patient')} drawn "
        f"{RESAMPLES:,} times with repeats, the {noun}s of a patient together."
    )
    environment = page_environment()
    environment.filters["kind"] = lambda part: type(part).__name__
    return environment.get_template("evaluation.html.j2").render(
        title=about.bundle["Bundle"],
        kind="medvol evaluation",
        noun=noun,
        number=f"{len(evaluation.cases)}",
        of=f"{noun}{'s' if len(evaluation.cases) > 1 else ''} of {counted(patients, 'patient')}",
        evaluation=evaluation,
        content=content,
        about=about,
        rules={**content.rules, "Intervals": intervals},
        remarks=[*content.remarks, *about.remarks],
    )  # fmt: skip


def write_metrics_csv(path: str | os.PathLike[str], evaluation: Evaluation[Any]) -> None:
    """Write `metrics.csv`: the rows of the evaluation, empty where a figure is not defined.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    rows = evaluation.rows()
    write_csv(path, list(rows[0]), [[_written(value) for value in row.values()] for row in rows])


def write_metrics_json(
    path: str | os.PathLike[str], evaluation: Evaluation[Any], about: About
) -> None:
    """Write `metrics.json`: all figures with intervals, refusals, and how it was measured.

    Args:
        path: of the file; appears whole or not at all.
        evaluation: what was measured.
        about: what was measured on what.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    record = {
        "notice": NOTICE,
        "bundle": dict(about.bundle),
        "protocol": dict(about.protocol),
        "interval": {
            "percent": CONFIDENCE_PERCENT,
            "method": "percentile bootstrap over patients",
            "resamples": RESAMPLES,
            "seed": SEED,
            "patients": evaluation.patients,
        },
        **evaluation.record(),
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


def _written(value: Any) -> Any:
    return "" if value is None else digits(value) if isinstance(value, float) else value
