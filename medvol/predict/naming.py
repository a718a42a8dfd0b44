# SPDX-License-Identifier: Apache-2.0
"""What a case is called."""

import os
from pathlib import Path

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".zip")


def case_name(path: Path) -> str:
    """Name of a case: the file or folder's name without the suffix of its format."""
    name = Path(os.path.abspath(path)).name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
