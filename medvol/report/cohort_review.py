# SPDX-License-Identifier: Apache-2.0
"""The page on which a human says of sampled cases whether they are right: a form that saves a CSV.

What is said is kept by the browser until it is saved; nothing is sent anywhere.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .html import page_environment
from .sheet import script_and_hash


class ReviewLine(NamedTuple):
    """A case that is to be reviewed.

    Args:
        bundle, case: of the unit.
        name: what the page calls it.
        why: it was sampled, in a few words each.
        page, picture: addresses of its own page and of its picture; or empty.
        said: what was found, in a sentence.
        notes: a sentence each.
        verdict, remark: of an earlier review; or empty.
    """

    bundle: str
    case: str
    name: str
    why: Sequence[str]
    page: str
    picture: str
    said: str
    notes: Sequence[str]
    verdict: str
    remark: str


def render_review(
    lines: Sequence[ReviewLine], *, title: str, how: str, verdicts: Mapping[str, str], mark: str
) -> str:
    """The page as text; every text is escaped, and its script is allowed by its checksum alone.

    Args:
        lines: one a case.
        title: of the cohort.
        how: the cases were sampled, a sentence or more.
        verdicts: a word to what it means.
        mark: by which the browser knows what was said of this cohort again.
    """
    return page_environment().get_template("cohort_review.html.j2").render(
        title=title,
        kind="medvol cohort: review",
        lines=lines,
        how=how,
        verdicts=verdicts,
        mark=mark,
        **script_and_hash("review.js"),
    )  # fmt: skip
