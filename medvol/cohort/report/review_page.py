# SPDX-License-Identifier: Apache-2.0
"""What the page of a review says: the cases that were sampled, and what was said of them before."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from ...files import sha256_of
from ...outputs.registry import OUTPUTS
from ...report.cohort_review import ReviewLine, render_review
from .. import frozen
from .figures import LARGEST, UNDECIDED_MEANS, in_words, main_figures
from .gather import Gathered, Result
from .pages import name_of, root_of
from .review import VERDICTS, Verdict
from .samples import EACH, SEED


def review_page(
    gathered: Gathered, sampled: Mapping[str, Sequence[str]], verdicts: Mapping[str, Verdict]
) -> str:
    """The page as text.

    Args:
        gathered: all units.
        sampled: keys of those that are reviewed -> why each was taken.
        verdicts: of earlier reviews, by the keys of their units.
    """
    results = {x.unit.key: x for x in gathered.results}
    lines = [
        _line(gathered, results[key], why, verdicts.get(key, Verdict("", "")))
        for key, why in sampled.items()
    ]
    tasks = dict.fromkeys(x.task for x in gathered.specs.values())
    how = (
        f"Of each bundle {EACH} cases by chance (seed {SEED}), the {EACH} most undecided and the "
        f"{EACH} {' or '.join(LARGEST[task] for task in tasks)}, as far as there are so many. Most "
        f"undecided means: {'; or '.join(UNDECIDED_MEANS[task] for task in tasks)}."
    )
    mark = sha256_of(gathered.folder / frozen.NAME)[:16]
    title = f"{len(lines)} case{'s' if len(lines) != 1 else ''} to look at"
    return render_review(lines, title=title, how=how, verdicts=VERDICTS, mark=mark)


def _line(gathered: Gathered, result: Result, why: Sequence[str], verdict: Verdict) -> ReviewLine:
    root, place = root_of(gathered, "../", ()), gathered.folder / result.unit.key
    address = f"../{quote(result.unit.key)}/"
    pictures = (OUTPUTS["png"].file, OUTPUTS["thumbnail"].file)
    picture = next((name for name in pictures if (place / name).is_file()), "")
    names = main_figures(gathered.specs[result.unit.bundle])
    figures = [in_words(name, result.values.get(name)) for name in names]
    return ReviewLine(
        bundle=result.unit.bundle,
        case=result.unit.case,
        name=name_of(gathered, result),
        why=why,
        page=address + root.page if root.page else "",
        picture=address + picture if picture else "",
        said=", ".join(filter(None, [result.answer, *figures])),
        notes=[f"{code} {text}" for code, text in result.notes],
        verdict=verdict.verdict,
        remark=verdict.remark,
    )
