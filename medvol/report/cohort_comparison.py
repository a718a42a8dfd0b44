# SPDX-License-Identifier: Apache-2.0
"""The page of two runs of a cohort: which cases changed, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .html import page_environment
from .sheet import Sheet, script_and_hash


@dataclass(frozen=True)
class ComparisonPage:
    """What the page says. Empty parts are left out of it.

    Args:
        title: of the cohort.
        counts: what, such as "changed", to how many cases.
        means: by which the runs were made: name to what it was before and is now.
        figures: name of a figure to how it changed, in words.
        only: "before" or "now" to the names of cases that only this run has.
        more: how many such cases are not listed.
        sheet: the cases of both.
    """

    title: str
    counts: Mapping[str, int]
    means: Mapping[str, tuple[str, str]]
    figures: Mapping[str, str]
    only: Mapping[str, Sequence[str]]
    more: Mapping[str, int]
    sheet: Sheet


def render_comparison(page: ComparisonPage) -> str:
    """The page as text; every text is escaped, and its script is allowed by its checksum alone."""
    return page_environment().get_template("cohort_comparison.html.j2").render(
        title=page.title,
        kind="medvol cohort: two runs",
        page=page,
        data=page.sheet.data(),
        **script_and_hash("sheet.js"),
    )  # fmt: skip
