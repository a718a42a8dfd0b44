# SPDX-License-Identifier: Apache-2.0
"""Single values of a DICOM header, whatever stands there in their place."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ...errors import InputError


def value_of(header: Dataset, name: str) -> Any:
    """A value of the header by its keyword; None where absent or empty, "?" where unreadable."""
    try:
        element = header[name]
        return None if element.is_empty else element.value
    except KeyError:
        return None
    except Exception:  # pydicom reads a value when it is asked for, and may raise nearly anything
        return "?"


def numbers(header: Dataset, name: str, count: int | None) -> np.ndarray[Any, Any] | None:
    """The numbers of one element.

    Args:
        header: of one image.
        name: keyword of the element.
        count: how many there must be; None for any number of them.

    Returns:
        (count,) float64, NaN where something else stands there; None where nothing does.
    """
    value = value_of(header, name)
    if value is None:
        return None
    try:
        found = np.array(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        found = np.array([])
    usable = found.size == (count or max(found.size, 1)) and np.isfinite(found).all()
    return found if usable else np.full(count or 1, np.nan)


def whole_number(header: Dataset, name: str, path: Path) -> int:
    """A number without which an image has no pixels.

    Args:
        header: of one image.
        name: keyword of the element.
        path: for the message.

    Raises:
        InputError: E_CORRUPT, something else stands there, or nothing does.
    """
    value = value_of(header, name)
    if not isinstance(value, int):
        reason = f"its header has no number in {name}."
        raise InputError("E_CORRUPT", path, reason, "Export the series again.")
    return value
