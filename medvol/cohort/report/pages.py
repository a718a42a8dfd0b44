# SPDX-License-Identifier: Apache-2.0
"""What the page of a cohort says: from its results to the parts that `report.cohort` draws."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ...codes import ERROR_CODES, NOTE_CODES, TRUST, Code
from ...outputs.registry import OUTPUTS
from ...progress import STAGES
from ...report.cohort import CodeLine, CohortPage, OutlierLine, StoppedLine
from ...report.distribution import Distribution, distribution
from ...report.sheet import Cell, Column, Root, Sheet
from ...text import counted, figure_text, minus
from ..frozen import LOGS
from ..ledger import DONE, FAILED, QUARANTINED, REFUSED
from .figures import main_figures
from .gather import GONE, Gathered, Result
from .outliers import RULE, Outlier
from .review import Verdict

MOST_LISTED = 50  # rows of a short table
MOST_HOSTS = 12
GIB = 1 << 30
FILES = {
    "cases.csv": "all cases with every figure, for a spreadsheet",
    "cases.parquet": "the same for programs",
    "review.html": "the cases that a human looks at, and a form",
    "verdicts.csv": "what was said in reviews",
    "comparison.html": "this run beside another one",
    "comparison.csv": "the same as a table",
}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def page_of(
    gathered: Gathered,
    outliers: Mapping[str, Outlier],
    verdicts: Mapping[str, Verdict],
    *,
    sampled: Sequence[str],
    files: Sequence[str],
) -> CohortPage:
    """What the page of a cohort says.

    Args:
        gathered: all units.
        outliers, verdicts: by the keys of their units.
        sampled: keys of the units that are reviewed.
        files: names of the files beside the page.
    """
    results = gathered.results
    named = list(outliers.items())
    stopped = [x for x in results if x.state in (QUARANTINED, FAILED, GONE)]
    keys = {x.unit.key: x for x in results}
    seen = sum(key in verdicts for key in sampled)
    return CohortPage(
        title=_title(gathered),
        counts=_counts(results),
        warnings=_warnings(results),
        distributions={x: y for x in gathered.specs if (y := _distributions(gathered, x))},
        outliers=[_outlier(gathered, keys[key], x) for key, x in named[:MOST_LISTED]],
        more_outliers=max(0, len(named) - MOST_LISTED),
        outlier_rule=RULE,
        notes=_notes(results),
        refusals=_refusals(results),
        stopped=[_stopped(gathered, x) for x in stopped[:MOST_LISTED]],
        more_stopped=max(0, len(stopped) - MOST_LISTED),
        review=f"{counted(len(sampled), 'case')}; {seen} with a verdict." if sampled else "",
        files={name: holds for name, holds in FILES.items() if name in files},
        facts=_facts(gathered),
        sheet=sheet_of(gathered, outliers, verdicts),
    )


def sheet_of(
    gathered: Gathered, outliers: Mapping[str, Outlier], verdicts: Mapping[str, Verdict]
) -> Sheet:
    """All cases of a cohort as columns.

    Args:
        gathered: all units.
        outliers, verdicts: by the keys of their units.
    """
    results = gathered.results
    main = {name for spec in gathered.specs.values() for name in main_figures(spec)}
    figures = dict.fromkeys(name for x in results for name in x.values)
    keys = [x.unit.key for x in results]
    columns = [
        Column("case", [x.unit.case for x in results]),
        Column("bundle", [x.unit.bundle for x in results], len(gathered.specs) > 1),
        Column("group", [x.unit.group for x in results]),
        Column("patient", [x.unit.patient for x in results]),
        Column("state", [x.state for x in results]),
        Column("answer", [x.answer for x in results]),
        *(Column(name, [_cell(x, name) for x in results], name in main) for name in figures),
        Column("outlier z", [outliers[key].z if key in outliers else None for key in keys]),
        Column("undecided", [x.undecided for x in results]),
        Column("seconds", [x.seconds for x in results]),
        Column("peak GiB", [x.peak_bytes and x.peak_bytes / GIB for x in results], False),
        Column("codes", [" ".join(_codes(x)) for x in results]),
        Column("verdict", [verdicts[key].verdict if key in verdicts else "" for key in keys]),
    ]
    named = [x for x in columns if any(cell not in ("", None) for cell in x.cells)]
    return Sheet(named, keys, [root_of(gathered, "../", results)])


def root_of(
    gathered: Gathered, address: str, results: Sequence[Result], caption: str = ""
) -> Root:  # fmt: skip
    """The folder of a cohort's results for a page.

    Args:
        gathered: the cohort.
        address: of the folder, from the page; ends in "/".
        results: of the cases, as the page has them.
        caption: below its pictures; or empty.
    """
    formats = [bundle.formats for bundle in gathered.fixed.bundles.values()]
    page, picture = (
        OUTPUTS[name].file if any(x is None or name in x for x in formats) else ""
        for name in ("html", "thumbnail")
    )
    return Root(address, caption, page, picture, [x.is_done for x in results])


def in_words(markdown: str) -> str:
    """A sentence of `codes` without the marks of Markdown.

    Example:
        >>> in_words("Look at `a.csv`, see [names](brain_mri.md#names).")
        'Look at a.csv, see names.'
    """
    return _LINK.sub(r"\1", markdown).replace("`", "")


def name_of(gathered: Gathered, result: Result) -> str:
    """What a unit is called: its case, with the bundle where there are several.

    Args:
        gathered: the cohort.
        result: of the unit.
    """
    unit = result.unit
    return unit.case if len(gathered.specs) == 1 else f"{unit.case} ({unit.bundle})"


def _title(gathered: Gathered) -> str:
    cases = len({x.unit.case for x in gathered.results})
    return f"{cases:,} case{'s' if cases != 1 else ''} by {', '.join(gathered.specs)}"


def _counts(results: Sequence[Result]) -> dict[str, int]:
    found = Counter(x.state for x in results)
    return {state: found[state] for state in (DONE, *sorted(set(found) - {DONE}))}


def _warnings(results: Sequence[Result]) -> list[str]:
    found = Counter(x.state for x in results)
    words = []
    if left := len(results) - sum(found[x] for x in (DONE, REFUSED, QUARANTINED, GONE)):
        words.append(f"Not done yet: {counted(left, 'case')}. Run the same command again to go on.")
    if gone := found[GONE]:
        words.append(f"Done, but without its record now: {counted(gone, 'case')}.")
    return words


def _distributions(gathered: Gathered, bundle: str) -> list[Distribution]:
    results, spec = gathered.of(bundle), gathered.specs[bundle]
    found = []
    for name in main_figures(spec):
        groups = defaultdict[str, list[float]](list)
        for result in results:
            if isinstance(value := _cell(result, name), float | int):
                groups[result.unit.group].append(value)
        if drawn := distribution(name, groups):
            found.append(drawn)
    return found


def _outlier(gathered: Gathered, result: Result, found: Outlier) -> OutlierLine:
    return OutlierLine(
        name_of(gathered, result), result.unit.key, found.figure, figure_text(found.value),
        figure_text(found.median), minus(f"{found.z:+.1f}"),
    )  # fmt: skip


def _notes(results: Sequence[Result]) -> list[CodeLine]:
    """Those first that say that an answer may mislead."""
    texts: dict[str, list[str]] = defaultdict(list)
    for result in results:
        for code, text in dict(result.notes).items():
            texts[code].append(text)
    order = sorted(texts, key=lambda code: (code not in TRUST, -len(texts[code]), code))
    return [_code_line(code, texts[code], NOTE_CODES.get(code)) for code in order]


def _refusals(results: Sequence[Result]) -> list[CodeLine]:
    """With what helps most of the cases, and one of these as an example."""
    refused: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.state == REFUSED:
            refused[result.said.code].append(result)
    lines = []
    for code, some in sorted(refused.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        (remedy, _), *_ = Counter(x.said.remedy for x in some).most_common(1)
        said = [f"{x.unit.case}: {x.reason}" for x in some if x.said.remedy == remedy]
        line = _code_line(code, said, ERROR_CODES.get(code))
        lines.append(line._replace(number=len(some), remedy=remedy or line.remedy))
    return lines


def _code_line(code: str, said: Sequence[str], known: Code | None) -> CodeLine:
    reason, remedy = (in_words(x) for x in known or ("", ""))
    return CodeLine(code, len(said), reason, remedy, said[0])


def _stopped(gathered: Gathered, result: Result) -> StoppedLine:
    said = result.said
    parts = [
        f"{said.code} {result.reason}".strip(" ."),
        f"signal {said.signal}" if said.signal else "",
        f"while {STAGES.get(said.stage, said.stage)}" if said.stage else "",
        f"{said.peak_bytes / GIB:.1f} GiB of memory at most" if said.peak_bytes else "",
    ]
    log = f"{LOGS}/{result.unit.key}.txt"
    there = result.state != GONE and (gathered.folder / log).is_file()
    return StoppedLine(
        name_of(gathered, result), result.state, ", ".join(filter(None, parts)), said.tries,
        f"../{log}" if there else "",
    )  # fmt: skip


def _facts(gathered: Gathered) -> dict[str, str]:
    results = gathered.results
    seconds = [x.seconds for x in results if x.is_done and x.seconds is not None]
    peaks = [x.peak_bytes for x in results if x.peak_bytes]
    hosts = Counter(x.said.host for x in results if x.said.host and x.is_done)
    fixed = gathered.fixed
    facts = {
        "Bundles": ", ".join(f"{name} {x.version}" for name, x in fixed.bundles.items()),
        "medvol": fixed.medvol,
        "Begun": fixed.made,
        "Device": fixed.device,
    }
    if seconds:
        facts["Seconds a case"] = f"{sum(seconds) / len(seconds):.1f} on average"
        facts["All cases"] = f"{sum(seconds) / 60:,.0f} minutes of work"
    if peaks:
        facts["Most memory"] = f"{max(peaks) / GIB:.1f} GiB"
    if hosts:
        facts["Machines"] = ", ".join(
            f"{host} {number:,}" for host, number in hosts.most_common(12)
        )
    return facts


def _cell(result: Result, name: str) -> Cell:
    return result.values.get(name)


def _codes(result: Result) -> list[str]:
    codes = list(dict.fromkeys(code for code, _ in result.notes))
    return codes if result.is_done or not result.said.code else [*codes, result.said.code]
