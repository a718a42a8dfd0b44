# SPDX-License-Identifier: Apache-2.0
"""`cases.csv` and `cases.parquet`: all units of a cohort, a row each, with every figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import require
from ...files import replacing, write_csv
from ...text import digits
from .gather import Gathered, Result
from .outliers import Outlier
from .review import Verdict

FIRST = ("case", "patient", "group", "bundle", "state", "answer", "tries", "code", "reason",
         "remedy")  # fmt: skip
LAST = ("notes", "undecided", "outlier_of", "outlier_z", "seconds", "peak_memory_bytes", "host",
        "mask_sha256", "verdict", "remark")  # fmt: skip
NUMBERS = ("tries", "undecided", "outlier_z", "seconds", "peak_memory_bytes")


def table(
    gathered: Gathered, outliers: Mapping[str, Outlier], verdicts: Mapping[str, Verdict]
) -> dict[str, list[Any]]:
    """The columns of the table by name, a cell a unit, in the order of the plan; None for nothing.

    Args:
        gathered: all units.
        outliers, verdicts: by the keys of their units.
    """
    figures = list(dict.fromkeys(name for x in gathered.results for name in x.values))
    columns: dict[str, list[Any]] = {name: [] for name in (*FIRST, *figures, *LAST)}
    for result in gathered.results:
        key = result.unit.key
        row = _row(result, outliers.get(key), verdicts.get(key))
        for name, cells in columns.items():
            cells.append(row.get(name))
    return columns


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write the table as CSV; numbers with six significant digits.

    Args:
        path: of the file.
        columns: of `table`.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    rows = zip(*columns.values(), strict=True)
    write_csv(path, [*columns], ([_text(cell) for cell in row] for row in rows))


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write the table as Parquet: numbers are float64, all else text.

    Args:
        path: of the file.
        columns: of `table`.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
        ImportError: pyarrow is not installed.
    """
    arrow = require("pyarrow", feature="a table in Parquet", install="medvol[cohort]")
    parquet = require("pyarrow.parquet", feature="a table in Parquet", install="medvol[cohort]")
    texts = (*FIRST, *LAST)
    arrays = {
        name: arrow.array([_utf8(cell) for cell in cells], arrow.string())
        if name in texts and name not in NUMBERS
        else arrow.array(cells, arrow.float64())
        for name, cells in columns.items()
    }
    with replacing(path) as temporary:
        parquet.write_table(arrow.table(arrays), temporary)


def _row(result: Result, outlier: Outlier | None, verdict: Verdict | None) -> dict[str, Any]:
    unit, said = result.unit, result.said
    return {
        "case": unit.case,
        "patient": unit.patient,
        "group": unit.group,
        "bundle": unit.bundle,
        "state": result.state,
        "answer": result.answer,
        "tries": said.tries,
        "code": "" if result.is_done else said.code,
        "reason": result.reason,
        "remedy": "" if result.is_done else said.remedy,
        **result.values,
        "notes": " ".join(f"{code} {text}" for code, text in result.notes),
        "undecided": result.undecided,
        "outlier_of": outlier.figure if outlier else "",
        "outlier_z": outlier.z if outlier else None,
        "seconds": result.seconds,
        "peak_memory_bytes": result.peak_bytes,
        "host": said.host,
        "mask_sha256": result.mask,
        "verdict": verdict.verdict if verdict else "",
        "remark": verdict.remark if verdict else "",
    }


def _text(cell: Any) -> Any:
    return digits(cell) if isinstance(cell, float) else cell


def _utf8(text: str | None) -> str | None:
    """A text as Parquet can hold it: bytes of a name that are not UTF-8 as escapes."""
    return text and text.encode("utf-8", "backslashreplace").decode()
