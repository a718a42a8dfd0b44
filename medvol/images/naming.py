# SPDX-License-Identifier: Apache-2.0
"""What a case is called."""

import os
from collections.abc import Container
from pathlib import Path

from .files import DICOM_SUFFIXES
from .picture import PICTURE_SUFFIXES
from .volume import SUFFIXES


def case_name(path: str | os.PathLike[str]) -> str:
    """Name of a case: the file or folder's name without the suffix of its format.

    Dots elsewhere stay, as in a DICOM folder that is called by its UID.

    Example:
        >>> case_name("scans/ct.1.nii.gz"), case_name("scans/1.2.840.10")
        ('ct.1', '1.2.840.10')
    """
    name = Path(os.path.abspath(path)).name
    for suffix in sorted((*SUFFIXES, *PICTURE_SUFFIXES, *DICOM_SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def unused_name(name: str, taken: Container[str]) -> str:
    """The name itself, or with the first of _2, _3, ... that is not taken.

    Example:
        >>> unused_name("ct", {"ct", "ct_2"})
        'ct_3'
    """
    numbered, count = name, 1
    while numbered in taken:
        count += 1
        numbered = f"{name}_{count}"
    return numbered
