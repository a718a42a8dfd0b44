# SPDX-License-Identifier: Apache-2.0
"""The page of a cohort: counts, distributions, outliers, refusals, review, and all cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .distribution import HEIGHT, WIDTH, Distribution
from .html import page_environment
from .sheet import Sheet, script_and_hash


class CodeLine(NamedTuple):
    """A code of refusals or notes, and how often it was given.

    Args:
        code: such as E_TRUNCATED.
        number: of cases.
        reason: when it is given.
        remedy: what the user can do.
        example: what was said of one case.
    """

    code: str
    number: int
    reason: str
    remedy: str
    example: str


class OutlierLine(NamedTuple):
    """A case with a figure far from those of the others.

    Args:
        case: as the page names it.
        folder: of the case, below the results.
        figure: name of the one that lies farthest out.
        value, median: as text, of the case and of the others.
        z: as text, how far out it lies.
    """

    case: str
    folder: str
    figure: str
    value: str
    median: str
    z: str


class StoppedLine(NamedTuple):
    """A case that has no answer though its image was not refused.

    Args:
        case: as the page names it.
        state: quarantined, failed, or that its files are gone.
        cause: in words.
        tries: how often it was begun.
        log: address of what is known of the last try; or empty.
    """

    case: str
    state: str
    cause: str
    tries: int
    log: str


@dataclass(frozen=True)
class CohortPage:
    """What the page says. Empty parts are left out of it.

    Args:
        title: how many cases, and by which bundles.
        counts: state to how many.
        warnings: what a reader must know first, one sentence each.
        distributions: bundle to its figures.
        outliers: the farthest first.
        more_outliers: how many are not listed.
        outlier_rule: what makes an outlier, one or two sentences.
        notes: the most frequent first.
        refusals: the most frequent first.
        stopped: cases that need a look or another run.
        more_stopped: how many are not listed.
        review: how many of the sampled cases have a verdict, in words; empty where none is sampled.
        files: file beside the page to what it holds.
        facts: of the run, name to text.
        sheet: all cases.
    """

    title: str
    counts: Mapping[str, int]
    warnings: Sequence[str]
    distributions: Mapping[str, Sequence[Distribution]]
    outliers: Sequence[OutlierLine]
    more_outliers: int
    outlier_rule: str
    notes: Sequence[CodeLine]
    refusals: Sequence[CodeLine]
    stopped: Sequence[StoppedLine]
    more_stopped: int
    review: str
    files: Mapping[str, str]
    facts: Mapping[str, str]
    sheet: Sheet


def render_cohort(page: CohortPage) -> str:
    """The page as text; every text is escaped, and its script is allowed by its checksum alone."""
    return page_environment().get_template("cohort.html.j2").render(
        title=page.title,
        kind="medvol cohort",
        page=page,
        width=WIDTH,
        height=HEIGHT,
        data=page.sheet.data(),
        **script_and_hash("sheet.js"),
    )  # fmt: skip
