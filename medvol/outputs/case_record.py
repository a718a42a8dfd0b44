# SPDX-License-Identifier: Apache-2.0
"""`cases.json`: what was found in cases without files of their own, for programs and later runs."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..files import sha256_of, write_json
from ..owned import FILES, MANIFEST, read_record
from ..text import NOTICE
from .cases import Cases
from .registry import OUTPUTS

FILE = OUTPUTS["cases-json"].file
FOUND, THUMBNAIL = "found", "thumbnail"  # keys of a case


class Kept(NamedTuple):
    """A case of an earlier run.

    Args:
        found: as `CaseRow` has it.
        thumbnail: JPEG of it; or empty.
    """

    found: Mapping[str, Any]
    thumbnail: bytes


def write(path: Path, cases: Cases) -> None:
    """Write a case a name: what was found, and its small picture in base64.

    Cases that were refused or not reached are left out: a later run looks at them again.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    found = {
        row.case: {
            FOUND: dict(row.found),
            THUMBNAIL: base64.b64encode(row.thumbnail).decode("ascii"),
        }
        for row in cases.rows
        if row.found is not None
    }
    bundle = {"name": cases.spec.name, "version": cases.spec.version}
    write_json(path, {"notice": NOTICE, "bundle": bundle, "cases": found}, indent=None)


def read_kept(folder: Path) -> dict[str, Kept]:
    """The cases of an earlier run into a folder, by name; none where medvol did not write them.

    Args:
        folder: of the run.
    """
    path = folder / FILE
    known = read_record(folder / MANIFEST).get(FILES, {}).get(FILE)
    if known is None or not path.is_file() or sha256_of(path) != known:
        return {}
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {
        name: Kept(case[FOUND], base64.b64decode(case[THUMBNAIL])) for name, case in cases.items()
    }
