# SPDX-License-Identifier: Apache-2.0
"""A table of thousands of cases for a page, whose script sorts, searches and shows 200 at a time.

The page holds values by column, not rows of HTML, so that 10,000 cases open at once. Small pictures
are loaded from the folders of the cases as they come into view.
"""

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from ..text import SIGNIFICANT_DIGITS
from .html import TEMPLATES

SCRIPT = TEMPLATES / "sheet.js"
Cell: TypeAlias = str | float | None


class Column(NamedTuple):
    """What is said of every case under one name.

    Args:
        name: head of the column.
        cells: one a case; None or "" where there is nothing.
        shown: the table has it; else it only sorts and is searched.
    """

    name: str
    cells: Sequence[Cell]
    shown: bool = True

    @property
    def numbers(self) -> bool:
        """Whether it is sorted by size, the largest first."""
        return not any(isinstance(cell, str) for cell in self.cells)


class Root(NamedTuple):
    """A folder of results.

    Args:
        address: of the folder, from the page; ends in "/".
        caption: below its pictures; or empty.
        page, picture: name of a case's own page, and of its small picture.
        complete: of each case whether its folder holds results.
    """

    address: str
    caption: str
    page: str
    picture: str
    complete: Sequence[bool]


class Sheet(NamedTuple):
    """All cases of a page.

    Args:
        columns: (n,) of them, the first with the names of the cases.
        folders: of each case, below a root.
        roots: one, or those of two runs that are compared.
        sorted_by: name of the column by which the cases stand first.
    """

    columns: Sequence[Column]
    folders: Sequence[str]
    roots: Sequence[Root]
    sorted_by: str = ""

    def data(self) -> dict[str, Any]:
        """All of it, ready for JSON; numbers with as many digits as tables have."""
        return {
            "columns": [
                {
                    "name": column.name,
                    "numbers": column.numbers,
                    "shown": column.shown,
                    "cells": [_brief(cell) for cell in column.cells],
                }
                for column in self.columns
            ],
            "folders": list(self.folders),
            "roots": [
                {**root._asdict(), "complete": [int(x) for x in root.complete]}
                for root in self.roots
            ],
            "sorted_by": self.sorted_by or self.columns[0].name,
        }


def script_and_hash(name: str) -> dict[str, str]:
    """A script for a page that allows it by its checksum alone: `script`, and its `script_hash`.

    Args:
        name: of a file among the templates.
    """
    script = (TEMPLATES / name).read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    return {"script": script, "script_hash": base64.b64encode(digest).decode("ascii")}


def _brief(cell: Cell) -> Cell:
    if not isinstance(cell, float):
        return cell
    return float(f"{cell:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(cell) else None
