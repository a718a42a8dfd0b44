# SPDX-License-Identifier: Apache-2.0
"""The report of a cohort, from its folder to the files of `OUT/report`."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from ...files import write_text
from ...owned import filling
from ...report.cohort import render_cohort
from ...report.cohort_comparison import render_comparison
from .compare import compared, summed_up, write_comparison
from .comparison_page import comparison_page
from .gather import Gathered, gather
from .outliers import outliers
from .pages import FILES, page_of, root_of
from .review import KEPT, Verdict, read_review, write_verdicts
from .review_page import review_page
from .samples import samples
from .table import table, write_parquet, write_table

REPORT = "report"  # folder below that of the cohort
PAGE, REVIEW = "index.html", "review.html"
TABLE, PARQUET = "cases.csv", "cases.parquet"
COMPARISON, CHANGES = "comparison.html", "comparison.csv"


def write_report(
    out: Path, *, reviews: Sequence[Path] = (), against: Path | None = None
) -> dict[str, Path]:
    """Write table and pages of a cohort into `OUT/report`, all or none; a later report takes their
    place.

    Args:
        out: folder of the cohort, also while it is at work.
        reviews: tables that the page of the review gave; of a case the last one counts.
        against: folder of another run, which this one is compared with.

    Raises:
        InputError: E_PATH, E_PLAN, E_BUNDLE, one of the folders is not a cohort's; E_FORMAT, a
            review cannot be read; E_OUTPUT, a file in the folder is not medvol's own; E_NOSPACE, it
            cannot be written.

    Returns:
        Name to path of the files.
    """
    folder = out / REPORT
    gathered = gather(out)
    verdicts = _verdicts(folder, gathered, reviews)
    far, sampled = outliers(gathered), samples(gathered)
    with filling(folder) as scratch:
        columns = table(gathered, far, verdicts)
        write_table(scratch / TABLE, columns)
        if find_spec("pyarrow") is not None:
            write_parquet(scratch / PARQUET, columns)
        if sampled:
            write_text(scratch / REVIEW, review_page(gathered, sampled, verdicts))
        if verdicts:
            write_verdicts(scratch / KEPT, verdicts)
        if against is not None:
            _compare(scratch, folder, gather(against), gathered)
        files = [name for name in FILES if (scratch / name).is_file()]
        page = page_of(gathered, far, verdicts, sampled=list(sampled), files=files)
        write_text(scratch / PAGE, render_cohort(page))
    return {name: folder / name for name in (PAGE, *files)}


def _verdicts(
    folder: Path, gathered: Gathered, reviews: Sequence[Path]
) -> dict[str, Verdict]:  # fmt: skip
    """What was said so far: in earlier reports, and in these tables."""
    keys = {x.unit.key for x in gathered.results}
    earlier = [folder / KEPT] if (folder / KEPT).is_file() else []
    found: dict[str, Verdict] = {}
    for path in (*earlier, *reviews):
        found |= read_review(path, keys)
    return found


def _compare(scratch: Path, folder: Path, before: Gathered, now: Gathered) -> None:
    """Write page and table of two runs."""
    pairs = tqdm(compared(before, now), "comparing", len(now.results), unit="case", leave=False)
    found = summed_up(before, now, pairs)
    write_comparison(scratch / CHANGES, found)
    try:
        there = quote(Path(os.path.relpath(before.folder, folder)).as_posix())
    except ValueError:  # Windows has no relative path to another disk
        there = before.folder.resolve().as_uri()
    roots = [
        root_of(before, f"{there}/", [x.before for x in found.changes], "before"),
        root_of(now, "../", [x.now for x in found.changes], "now"),
    ]
    write_text(scratch / COMPARISON, render_comparison(comparison_page(before, now, found, roots)))
