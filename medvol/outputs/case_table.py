# SPDX-License-Identifier: Apache-2.0
"""`cases.csv`: all cases of a run, a row each; loads no torch."""

from pathlib import Path

from ..files import write_csv
from ..progress import OF_A_RUN, STAGES
from ..text import digits
from .cases import CaseRow, Cases, Value

FIRST = ("case", "file", "state", "answer")
LAST = ("notes", "refusal", "reason", "remedy", "seconds")
TIMES = tuple(f"{stage}_s" for stage in STAGES if stage not in OF_A_RUN)


def write(path: Path, cases: Cases) -> None:
    """Write a row a case, in the order in which the cases were found.

    Columns: `case` (its name), `file` (without folders), `state` (predicted, refused, or not
    reached), `answer` in words; then every figure of the bundle's answers; `notes`; of a refused
    case the code, the `reason` and the `remedy`; and how long it took, `seconds` together and of
    each stage. What a case does not have is empty.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    values = [cases.values(row) for row in cases.rows]
    figures = list(dict.fromkeys(name for found in values for name in found))
    lines = [
        [*_first(row), *(_text(found.get(name)) for name in figures), *_last(row)]
        for row, found in zip(cases.rows, values, strict=True)
    ]
    write_csv(path, [*FIRST, *figures, *LAST, *TIMES], lines)


def _first(row: CaseRow) -> tuple[str, ...]:
    return row.case, row.file, row.state, row.answer


def _last(row: CaseRow) -> list[str]:
    refusal, times = row.refusal, row.times_s
    why = [refusal.code, row.reason, refusal.remedy] if refusal else ["", "", ""]
    seconds = f"{sum(times.values()):.3f}" if times else ""
    stages = [column.removesuffix("_s") for column in TIMES]
    spent = [f"{times[stage]:.3f}" if stage in times else "" for stage in stages]
    return [" ".join(row.notes), *why, seconds, *spent]


def _text(value: Value) -> Value:
    return digits(value) if isinstance(value, float) else value
