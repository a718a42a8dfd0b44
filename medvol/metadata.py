# SPDX-License-Identifier: Apache-2.0
"""The metadata of a bundle's folder, which may be anybody's: read strictly, or refused."""

from pathlib import Path
from typing import Any

from .errors import InputError
from .strictly import read_strictly

METADATA = "configs/metadata.json"  # below the root; it makes a folder a bundle


def read_metadata(folder: Path) -> dict[str, Any]:
    """What the metadata of a bundle hold.

    Args:
        folder: the bundle's root.

    Raises:
        InputError: E_BUNDLE, they are not there, or are not one JSON object as `read_strictly` has
            it.
    """
    path = folder / METADATA
    if path.exists() and not path.is_file():  # a device can be read without end
        raise InputError("E_BUNDLE", path, "it is not a file.", "Put the file itself there.")
    try:
        content = read_strictly(path.read_bytes(), suffix=path.suffix)
    except (OSError, ValueError) as error:
        raise InputError(
            "E_BUNDLE", path, f"it cannot be read as JSON: {error}.", "Mend the file."
        ) from error
    if not isinstance(content, dict):
        raise InputError("E_BUNDLE", path, "it is not a JSON object.", "Mend the file.")
    return content
