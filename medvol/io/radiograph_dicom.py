# SPDX-License-Identifier: Apache-2.0
"""A radiograph kept as DICOM (CR, DX) as grey in [0, 1], as its header asks to show it."""

from pathlib import Path
from typing import Any

from ..errors import InputError, Note
from .grey import Grey


def read_radiograph_dicom(path: Path) -> tuple[Grey, list[Note], dict[str, Any]]:
    raise InputError("E_FORMAT", path, "x", "y")
