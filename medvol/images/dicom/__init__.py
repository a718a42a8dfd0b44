# SPDX-License-Identifier: Apache-2.0
"""DICOM: how its files are known, and what their headers and pixels become."""

from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")


def has_mark(head: bytes) -> bool:
    """Whether the first bytes of a file hold the mark of DICOM, at byte 128."""
    return head[128:132] == b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether this is a file with the mark of DICOM in it; False when it cannot be opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return has_mark(file.read(132))
    except OSError:
        return False


def is_nameless(path: Path) -> bool:
    """Whether the name says no format, as scanners write: no suffix, or a number (1.2.840.7)."""
    return path.suffix == "" or path.suffix[1:].isdecimal()
