# SPDX-License-Identifier: Apache-2.0
"""Headers of text lines, as NRRD and MetaImage have them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import InputError
from .files import beside, corrupt

Number = TypeVar("Number", int, float)
# what stands for several data files: LIST, and a printf pattern with first, last and step
SEVERAL = re.compile(r"LIST(\s+\d+)?|.*%\d*[diu].*\s-?\d+\s+-?\d+\s+-?\d+(\s+\d+)?")

CONTROL = re.compile(rb"[\0-\x08\x0b-\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class TextHeader:
    """The fields of a header by name, and the byte of the file at which it ends."""

    path: Path
    fields: dict[str, str]
    end: int

    def numbers(self, name: str, kind: type[Number]) -> list[Number]:
        """A field of numbers.

        Raises:
            InputError: E_CORRUPT, the field is missing or holds something else.
        """
        try:
            return [kind(word) for word in self.fields[name].split()]
        except (KeyError, ValueError) as error:
            reason = f"its field {name!r} is missing or damaged."
            raise corrupt(self.path, reason) from error

    def sizes(self, number: str, sizes: str) -> list[int]:
        """Voxels along each axis, of which another field gives the number.

        Raises:
            InputError: E_CORRUPT, a field is missing or damaged, or they disagree.
        """
        found = self.numbers(sizes, int)
        if self.numbers(number, int) != [len(found)]:
            raise corrupt(self.path, f"its fields {number!r} and {sizes!r} disagree.")
        return found

    def data_file(self, name: str, *, suffix: str) -> Path:
        """The one data file that a header names, beside it.

        Args:
            name: as the header has it.
            suffix: of files that hold header and voxels, for the message.

        Raises:
            InputError: E_FORMAT, there are several; E_PATH, it is elsewhere or missing.
        """
        if SEVERAL.fullmatch(name):
            reason = "its voxels are spread over several data files."
            raise InputError("E_FORMAT", self.path, reason, f"Save it as one {suffix} file.")
        return beside(self.path, name)


def parse_fields(path: Path, head: bytes, separator: str) -> dict[str, str]:
    """The fields of a header by name, as written; comments (#) and NRRD's `key:=value` left out.

    Bytes that are not UTF-8 stay as they are, as in names of files (surrogates stand for them).

    Args:
        path: for the message.
        head: the lines with fields.
        separator: what stands between name and value.

    Raises:
        InputError: E_CORRUPT, bytes that are not text, a line that is not a field, or a field that
            is given twice.
    """
    if CONTROL.search(head):
        raise corrupt(path, "its header holds bytes that are not text.")
    fields: dict[str, str] = {}
    for line in head.splitlines():
        text = line.decode("utf-8", "surrogateescape").strip()
        name, found, value = (part.strip() for part in text.partition(separator))
        if not text or text.startswith("#") or value.startswith("="):
            continue
        if not found:
            raise corrupt(path, f"its header has the line {text[:40]!r}, which is not a field.")
        if name in fields:
            raise corrupt(path, f"its header gives the field {name!r} twice.")
        fields[name] = value
    return fields
