# SPDX-License-Identifier: Apache-2.0
"""The page of all cases of a run: a table with pictures that sorts; one file, nothing is loaded."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .html import TEMPLATES, page_environment

SCRIPT = TEMPLATES / "cases.js"


class Cell(NamedTuple):
    """A figure of a case.

    Args:
        value: what rows are sorted by, in any unit; None where there is none.
        text: what is shown.
    """

    value: float | None
    text: str


NOTHING = Cell(None, "")


class Line(NamedTuple):
    """What the page says of one case.

    Args:
        case: its name.
        file: name of its image.
        page: address of its own page, from this one; empty where it has none.
        state: whether it was predicted, in a word or two.
        answer: in words; or empty.
        cells: figures, under the head of their column.
        notes: a sentence each.
        refusal: why it was refused, code and sentences; or empty.
        seconds: that it took.
        thumbnail: JPEG of it; or empty.
    """

    case: str
    file: str
    page: str
    state: str
    answer: str
    cells: Mapping[str, Cell]
    notes: Sequence[str]
    refusal: str
    seconds: Cell
    thumbnail: bytes


def render_index(
    lines: Sequence[Line], *, summary: str, bundle: Mapping[str, str], intended_use: str
) -> str:
    """The page as text; every text is escaped.

    Its script, which sorts, is allowed by its checksum alone; without it the page is as it is.

    Args:
        lines: one a case.
        summary: how many of which answer, such as "3 images: 1 normal, 2 pneumonia".
        bundle: name to text: name, version.
        intended_use: as the bundle's metadata say it.
    """
    number, _, counts = summary.partition(": ")
    script = SCRIPT.read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    return page_environment().get_template("cases.html.j2").render(
        title=number,
        kind="medvol cases",
        counts=counts,
        lines=lines,
        heads=list(dict.fromkeys(head for line in lines for head in line.cells)),
        nothing=NOTHING,
        answers=any(line.answer for line in lines),
        bundle=bundle,
        intended_use=intended_use,
        script=script,
        script_hash=base64.b64encode(digest).decode("ascii"),
    )  # fmt: skip
