# SPDX-License-Identifier: Apache-2.0
"""What people said of cases that they looked at: `review.csv` of the page, read and kept."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from ...errors import InputError
from ...failures import path_error
from ...files import read_csv, write_csv

VERDICTS = {
    "accept": "right as it is",
    "correct": "has to be corrected",
    "reject": "is not to be used",
}
COLUMNS = ("bundle", "case", "verdict", "remark")
KEPT = "verdicts.csv"  # in the report's folder: all that was read so far


class Verdict(NamedTuple):
    """What was said of a case.

    Args:
        verdict: of `VERDICTS`; empty where there is only a remark.
        remark: in words; or empty.
    """

    verdict: str
    remark: str


def read_review(path: Path, keys: Collection[str]) -> dict[str, Verdict]:
    """The verdicts in a table, by the keys of their units; rows without any are left out.

    Args:
        path: of a table that the page of the review gave, or `KEPT`.
        keys: of the units that there are.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, it is no such table, or has a verdict or
            a case that is not known; the line says where.
    """
    try:
        rows = read_csv(path)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError("E_FORMAT", path, f"it is not a table ({error}).", AGAIN) from error
    except OSError as error:
        raise path_error(path, error) from error
    found: dict[str, Verdict] = {}
    for line, row in enumerate(rows, start=2):
        if missing := [name for name in COLUMNS if row.get(name) is None]:
            _refuse(path, f"line {line}: it has no column {', '.join(missing)}.")
        key, verdict = f"{row['bundle']}/{row['case']}", row["verdict"].strip().lower()
        if key not in keys:
            _refuse(path, f"line {line}: {key} is not in the plan.")
        if verdict and verdict not in VERDICTS:
            _refuse(path, f"line {line}: {verdict!r} is none of {', '.join(VERDICTS)}.")
        if verdict or row["remark"]:
            found[key] = Verdict(verdict, row["remark"])
    return found


def write_verdicts(path: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Write verdicts so that `read_review` reads them.

    Args:
        path: of the table.
        verdicts: by the keys of their units.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    rows = ((*key.split("/", 1), *said) for key, said in sorted(verdicts.items()))
    write_csv(path, COLUMNS, rows)


AGAIN = "Save it again from the page of the review, as CSV with commas."


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError("E_FORMAT", path, reason, AGAIN)
