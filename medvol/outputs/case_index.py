# SPDX-License-Identifier: Apache-2.0
"""`index.html`: all cases of a run on one page, which sorts, shows and links; loads no torch."""

from pathlib import Path

from .. import __version__
from ..files import write_text
from ..report.case_index import NOTHING, Cell, Line, render_index
from ..text import ml_text, percent_text
from .cases import CaseRow, Cases, column
from .registry import OUTPUTS

PAGE = OUTPUTS["html"].file


def write(path: Path, cases: Cases) -> None:
    """Write the page, whole or not at all.

    Pages of cases are linked where they lie beside it; pictures are held by the page itself.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    spec = cases.spec
    page = render_index(
        [_line(cases, row) for row in cases.rows],
        summary=str(cases),
        bundle={"Bundle": spec.name, "Version": spec.version, "medvol": __version__},
        intended_use=spec.intended_use,
    )
    write_text(path, page)


def _line(cases: Cases, row: CaseRow) -> Line:
    files = (row.found or {}).get("files", {})
    seconds = sum(row.times_s.values())
    return Line(
        case=row.case,
        file=row.file,
        page=f"{row.case}/{PAGE}" if PAGE in files else "",
        state=row.state,
        answer=row.answer,
        cells=_cells(cases, row),
        notes=row.notes,
        refusal=f"{row.refusal.code}: {row.reason} {row.refusal.remedy}" if row.refusal else "",
        seconds=Cell(seconds, f"{seconds:.{1 if seconds >= 1 else 2}f} s")
        if row.times_s
        else Cell(None, ""),
        thumbnail=row.thumbnail,
    )


def _cells(cases: Cases, row: CaseRow) -> dict[str, Cell]:
    """The figures that a reader compares cases by, under the head of their column."""
    spec, values = cases.spec, cases.values(row)
    organ = spec.reference.name if spec.reference else ""
    share = column(spec.focus_name, "share of", organ, "percent")
    chosen = {
        column(spec.focus_name, "ml"): (f"{spec.focus_name}, ml", ml_text),
        share: (f"% of {organ}", percent_text),
        "severity_score": ("CT score", _plain),
        column(organ, "ml"): (f"{organ}, ml", ml_text),
        "slices_found": ("slices found", _plain),
        "longest_run_mm": ("longest run, mm", _plain),
        column("probability", row.answer): ("probability", "{:.2f}".format),
    }
    return {
        head: Cell(value, text(value)) if value is not None else NOTHING
        for name, (head, text) in chosen.items()
        if not isinstance(value := values.get(name, ""), str)
    }


def _plain(value: float) -> str:
    return f"{value:.0f}"
