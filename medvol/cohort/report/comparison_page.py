# SPDX-License-Identifier: Apache-2.0
"""What the page of two runs says: from their changes to the parts that the page draws."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...report.cohort_comparison import ComparisonPage
from ...report.sheet import Column, Root, Sheet
from ...text import figure_text
from ..frozen import Fixed
from .compare import OTHER, Change, Compared
from .figures import main_figures
from .gather import Gathered, Result
from .pages import MOST_LISTED, name_of

WHOLE, DIGITS = 64, 12  # of a checksum: it has, and are shown


def comparison_page(
    before: Gathered, now: Gathered, found: Compared, roots: Sequence[Root]
) -> ComparisonPage:
    """What the page says.

    Args:
        before, now: the runs.
        found: how they differ.
        roots: folders of both, from the page.
    """
    only = {"before": (before, found.only_before), "now": (now, found.only_now)}
    changed = [x for x in found.changes if x.changed]
    return ComparisonPage(
        title=f"{len(changed):,} of {len(found.changes):,} cases changed",
        counts=_counts(found, changed),
        means=_means(before, now),
        figures=_figures(now, changed),
        only={when: _names(*those) for when, those in only.items()},
        more={when: max(0, len(rows) - MOST_LISTED) for when, (_, rows) in only.items()},
        sheet=_sheet(now, found.changes, roots),
    )


def _counts(found: Compared, changed: Sequence[Change]) -> dict[str, int]:
    counts = {
        "changed": len(changed),
        "the same": len(found.changes) - len(changed),
        "other masks": sum(x.mask == OTHER for x in changed),
        "other answers": sum(x.before.answer != x.now.answer for x in changed),
        "other states": sum(x.before.state != x.now.state for x in changed),
        "only before": len(found.only_before),
        "only now": len(found.only_now),
    }
    return {what: n for what, n in counts.items() if n or what in ("changed", "the same")}


def _means(before: Gathered, now: Gathered) -> dict[str, tuple[str, str]]:
    """By which the runs were made, as far as it differs."""
    one, two = (dict(_said(asdict(x.fixed))) for x in (before, now))
    pairs = {name: (one.get(name, "–"), two.get(name, "–")) for name in dict.fromkeys([*one, *two])}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A name and a text for each value of what is fixed of a run."""
    content = content._asdict() if isinstance(content, Fixed) else content
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _said(value, f"{name} {key}".strip().replace("_", " "))
    else:
        text = "none" if content is None else str(content)
        yield name, text[:DIGITS] if len(text) == WHOLE else text


def _figures(now: Gathered, changed: Sequence[Change]) -> dict[str, str]:
    """How the main figures changed, over the cases in which they did."""
    names = dict.fromkeys(name for spec in now.specs.values() for name in main_figures(spec))
    said: dict[str, str] = {}
    for name in names:
        by = [d[name] for x in changed if name in (d := x.differences)]
        if by:
            low, middle, high = (figure_text(float(x)) for x in np.quantile(by, (0, 0.5, 1)))
            said[name] = f"{len(by):,} cases, by {low} to {high}, median {middle}"
    return said


def _names(run: Gathered, results: Sequence[Result]) -> list[str]:
    return [name_of(run, x) for x in results[:MOST_LISTED]]


def _sheet(now: Gathered, changes: Sequence[Change], roots: Sequence[Root]) -> Sheet:
    names = dict.fromkeys(name for spec in now.specs.values() for name in main_figures(spec))
    regions = dict.fromkeys(name for x in changes for name in x.dice)
    differences = [x.differences for x in changes]
    columns = [
        Column("case", [x.now.unit.case for x in changes]),
        Column("bundle", [x.now.unit.bundle for x in changes], len(now.specs) > 1),
        Column("change", [x.amount for x in changes]),
        Column("state", [_pair(x.before.state, x.now.state) for x in changes]),
        Column("answer", [_pair(x.before.answer, x.now.answer) for x in changes]),
        Column("mask", [x.mask for x in changes]),
        *(Column(f"Dice {name}", [x.dice.get(name) for x in changes]) for name in regions),
    ]
    for name in names:
        columns.append(Column(name, [_value(x.now.values, name) for x in changes], False))
        columns.append(Column(f"change of {name}", [x.get(name) for x in differences]))
    columns.append(Column("remark", [x.remark for x in changes]))
    named = [x for x in columns if any(cell not in ("", None) for cell in x.cells)]
    return Sheet(named, [x.now.unit.key for x in changes], roots, "change")


def _value(values: Mapping[str, str | float | None], name: str) -> str | float | None:
    return values.get(name)


def _pair(before: str, now: str) -> str:
    return now if before == now else f"{before or '–'} → {now or '–'}"
