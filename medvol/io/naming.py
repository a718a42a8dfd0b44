# SPDX-License-Identifier: Apache-2.0
"""What a case is called."""

import os
from pathlib import Path

from .slice_images import PICTURE_SUFFIXES
from .volume import SUFFIXES


def case_name(path: str | os.PathLike[str]) -> str:
    """Name of a case: the file or folder's name without the suffix of its format.

    Dots elsewhere stay, as in a DICOM folder that is called by its UID.

    Example:
        >>> case_name("scans/ct.1.nii.gz"), case_name("scans/1.2.840.10")
        ('ct.1', '1.2.840.10')
    """
    name = Path(os.path.abspath(path)).name
    for suffix in sorted((*SUFFIXES, *PICTURE_SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
