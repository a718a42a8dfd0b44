# SPDX-License-Identifier: Apache-2.0
"""An evaluation as files: a page for people, `metrics.csv` and `metrics.json` for programs.

The page has one layout, whatever was measured: what comes first, tables and pictures, how it was
measured. `mask_evaluation` and `class_evaluation` fill it. It holds all that it shows and loads
nothing.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..bundle.claim import ClaimItem, counts
from ..bundle.spec import HumanReference
from ..files import write_csv, write_json, write_text
from ..metrics.evaluation import Evaluation
from ..metrics.intervals import CONFIDENCE_PERCENT, METHOD
from ..text import NOTICE, counted, decimals, digits
from .html import page_environment


@dataclass(frozen=True)
class Content:
    """What a kind of evaluation puts on the page.

    Args:
        template: that fills the blocks of `evaluation.html.j2`.
        values: that the template needs beside the evaluation, by name.
        remarks: what the figures themselves say that a reader must know first.
    """

    template: str
    values: Mapping[str, Any]
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class About:
    """What was measured on what.

    Args:
        protocol: name to text: data, fold or part, cases, grouping, where the answers come from.
        bundle: name to text: name, version, SHA-256 of the weights.
        remarks: what a reader must know before the figures, one sentence each.
        files: file beside the page to what it holds.
        human: what human readers reach, by the bundle's metadata.
        claim: what the bundle reports, by CLAIM 2024; () where it does not say.
    """

    protocol: Mapping[str, str]
    bundle: Mapping[str, str]
    remarks: Sequence[str] = ()
    files: Mapping[str, str] | None = None
    human: Sequence[HumanReference] = ()
    claim: Sequence[ClaimItem] = ()


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
        OSError: a picture cannot be read.
    """
    write_text(path, render_evaluation(evaluation, content, about))


def render_evaluation(evaluation: Evaluation[Any], content: Content, about: About) -> str:
    """The page as text; every text is escaped.

    Args:
        evaluation, content, about: as for `write_evaluation`.
    """
    return (
        page_environment()
        .get_template(content.template)
        .render(
            content.values,
            title=about.bundle["Bundle"],
            kind="medvol evaluation",
            noun=evaluation.noun,
            patients=counted(evaluation.patients, "patient"),
            confidence=f"{CONFIDENCE_PERCENT:g} %",
            method=METHOD,
            evaluation=evaluation,
            about=about,
            remarks=[*content.remarks, *about.remarks],
            human=human_rows(evaluation, about.human),
            claim_counts=counts(about.claim),
        )
    )


def human_rows(
    evaluation: Evaluation[Any], human: Sequence[HumanReference]
) -> list[dict[str, str]]:
    """What the page shows of what human readers reach, where the same was measured here.

    Args:
        evaluation: what was measured.
        human: of the bundle's metadata.
    """
    text = partial(decimals, places=2)
    rows = []
    for one in human:
        here = evaluation.estimate(one.region, one.figure)
        if here is not None:
            words = one.figure.replace("_", " ").capitalize()
            name = f"{words}, {one.region}" if one.region else words
            rows.append(
                {"name": name, "human": text(one.value), "here": here.words(text),
                 "what": one.what, "source": one.source}
            )  # fmt: skip
    return rows


def write_metrics_csv(path: str | os.PathLike[str], evaluation: Evaluation[Any]) -> None:
    """Write `metrics.csv`: the rows of the evaluation, empty where a figure is not defined.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    write_table(path, evaluation.rows())


def write_table(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns, empty where a value is None.

    Args:
        path: of the CSV.
        rows: one or more.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
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
            "method": METHOD,
            "patients": evaluation.patients,
        },
        **evaluation.record(),
        "human_reference": [reference._asdict() for reference in about.human],
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
