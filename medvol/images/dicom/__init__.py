# SPDX-License-Identifier: Apache-2.0
"""DICOM: how its files are known, and what their headers and pixels become."""

import re
from pathlib import Path

from ...errors import InputError
from ..files import read_head

SUFFIXES = (".dcm", ".dicom", ".ima", ".dcm.gz")
HEAD_BYTES = 132
RADIOGRAPHY = ("CR", "DX", "DR", "RG")  # of Modality; DR is not a term of DICOM, but often written
# The first element of a file that was written without preamble: group 2 or 8, one of the elements
# that may come first, then a type of value in letters, or (only in little endian) a short length.
_BARE = re.compile(
    rb"\x02\x00[\x00-\x02]\x00[A-Z]{2}"
    rb"|\x08\x00(?:[\x00-\x08]|[\x12-\x18])\x00(?:[A-Z]{2}|[\x00-\xff][\x00\x01]\x00\x00)"
    rb"|\x00\x08\x00(?:[\x00-\x08]|[\x12-\x18])[A-Z]{2}",
    re.DOTALL,
)


def has_mark(head: bytes) -> bool:
    """Whether the first bytes of a file are DICOM's: the mark at byte 128, or bare elements."""
    return head[128:132] == b"DICM" or _BARE.match(head) is not None


def is_dicom(path: Path) -> bool:
    """Whether the content of this file is DICOM, perhaps in gzip; False if it cannot be opened."""
    try:
        return path.is_file() and has_mark(read_head(path, HEAD_BYTES))
    except (OSError, InputError):
        return False


def is_named(path: Path) -> bool:
    """Whether the name says that it is DICOM."""
    return path.name.lower().endswith(SUFFIXES)


def is_nameless(path: Path) -> bool:
    """Whether the name says no format, as scanners write: no suffix, or a number (1.2.840.7)."""
    return path.suffix == "" or path.suffix[1:].isdecimal()
